"""Routes of what leaves: previews, publishing, withdrawing, the ledger."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import web

from crdt.ids import AuthorKey, check_key
from daemon.api import consensus_shapes as shapes
from daemon.api.circles import circle_of
from daemon.api.paging import page_of
from daemon.api.routing import Call, json_response
from daemon.circles.following import Standing
from daemon.circles.ports import JoinedCircle
from daemon.circles.preview import CONSENT, WITHDRAWN, epoch_start_ms
from daemon.circles.publishing import Out, says_the_same
from daemon.interchange.timestamps import format_time


async def get_preview(call: Call) -> web.Response:
    """Answer exactly what publishing a node would send; nothing is sent."""
    circle = circle_of(call)
    node = call.service.reader.node(call.path["key"])
    record = await call.service.publishing.preview(circle, node)
    there = await call.service.publishing.of_node(circle, node.key)
    return json_response(
        shapes.PreviewDocument(
            circle=circle.id.hex(),
            node=node.key,
            text=record.text,
            record=record.encoded.hex(),
            size=len(record.encoded),
            id=record.id.hex(),
            model=record.model.hex(),
            epoch=record.epoch,
            week_of=format_time(epoch_start_ms(record.epoch)),
            already=says_the_same(there, record),
            notice=CONSENT,
        )
    )


async def put_contribution(call: Call) -> web.Response:
    """Publish a node's label to a circle."""
    circle = circle_of(call)
    node = call.service.reader.node(call.path["key"])
    out, is_news = await call.service.publishing.publish(circle, node)
    document = shapes.PublishedDocument(_document(circle, out, {}), CONSENT)
    return json_response(document, HTTPStatus.CREATED if is_news else HTTPStatus.OK)


async def delete_contribution(call: Call) -> web.Response:
    """Take back what was published of a node, also of one that is deleted by now."""
    circle = circle_of(call)
    key = check_key(call.path["key"])
    out = await call.service.publishing.withdraw(circle, key)
    text = out.contribution.text
    return json_response(shapes.WithdrawnDocument(key, text, notice=WITHDRAWN))


async def list_contributions(call: Call) -> web.Response:
    """Answer what of this person is out in a circle, or what of everybody is."""
    query: shapes.ContributionsQuery = call.query
    circle = circle_of(call)
    publishing = call.service.publishing
    found = await (
        publishing.ledger(circle) if query.mine else publishing.everything(circle)
    )
    page, following = page_of(
        found, lambda out: out.contribution.id.hex(), query.limit, query.cursor
    )
    look = await call.service.bridge.look(circle)
    places = look.places([out.contribution.id for out in page])
    items = [_document(circle, out, places) for out in page]
    return json_response(shapes.ContributionList(items, following))


def _document(
    circle: JoinedCircle, out: Out, places: Mapping[bytes, Standing]
) -> shapes.ContributionDocument:
    """Return a contribution as the API shows it, with where it stands."""
    contribution = out.contribution
    place = places.get(contribution.id)
    return shapes.ContributionDocument(
        id=contribution.id.hex(),
        author=contribution.author.hex(),
        alias=circle.alias(AuthorKey(contribution.author)),
        mine=contribution.author == circle.records.author,
        text=contribution.text,
        node=out.node,
        since=format_time(out.since_ms),
        consensus=None if place is None else place.key.hex(),
        label=None if place is None else place.label,
    )
