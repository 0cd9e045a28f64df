"""A person with two devices is one member with one voice, on both of them."""

from tests.support.circle_of_daemons import PROGRAM, VARIABLES, circle_of
from tests.support.daemons import Daemon, environment, wait_until
from tests.support.device_groups import pair, start
from tests.support.replicas import scratch_folder


def test_what_one_publishes_the_other_can_withdraw() -> None:
    """The second device is in the circle, knows the node of the text, and withdraws."""
    with scratch_folder() as folder, circle_of(folder, "ada") as circle:
        circle.publish(0, "mill", "the old mill should become a place for everybody")
        laptop = circle.members[0]
        pair(laptop, folder / "phone")
        phone = Daemon(
            folder / "phone", variables=environment(**VARIABLES), program=PROGRAM
        )
        try:
            start(phone)
            circle.members.append(phone)
            api = phone.api
            wait_until(
                lambda: any(
                    each["counts"]["contributions"] == 1
                    for each in api.get("/v1/circles")["items"]
                )
            )

            told = circle.get(1)

            assert (told["me"], told["counts"]["members"]) == (circle.get(0)["me"], 1)

            def nodes() -> list[str | None]:
                return [
                    each["node"] for each in circle.get(1, "contributions")["items"]
                ]

            wait_until(lambda: nodes() == ["mill"])
            gone = api.request("DELETE", f"{circle.route}/contributions/mill")
            assert gone.status == 200
            wait_until(lambda: circle.get(0, "contributions")["items"] == [])
        finally:
            if phone.process is not None:
                phone.kill()
