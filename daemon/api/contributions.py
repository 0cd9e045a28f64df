"""Routes of what leaves: previews, publishing, withdrawing, the ledger."""

from http import HTTPStatus

from aiohttp import web

from crdt.ids import check_key
from daemon.api import consensus_shapes as shapes
from daemon.api.nodes import decode_cursor, encode_cursor
from daemon.api.routing import Call, json_response
from daemon.circles import publishing
from daemon.circles.circle import Circle
from daemon.circles.preview import CONSENT, WITHDRAWN, epoch_start_ms
from daemon.circles.publishing import Out, is_out
from daemon.interchange.timestamps import format_time


async def get_preview(call: Call) -> web.Response:
    """Answer exactly what publishing a node would send; nothing is sent."""
    circle = _circle(call)
    node = call.service.reader.node(call.path["key"])
    record = await call.service.publishing.preview(circle, node)
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
            already=is_out(circle, node.key, record),
            notice=CONSENT,
        )
    )


async def put_contribution(call: Call) -> web.Response:
    """Publish a node's label to a circle."""
    circle = _circle(call)
    node = call.service.reader.node(call.path["key"])
    out, is_news = await call.service.publishing.publish(circle, node)
    document = shapes.PublishedDocument(
        contribution_document(call, circle, out), CONSENT
    )
    return json_response(document, HTTPStatus.CREATED if is_news else HTTPStatus.OK)


async def delete_contribution(call: Call) -> web.Response:
    """Take back what was published of a node, also of one that is deleted by now."""
    circle = _circle(call)
    key = check_key(call.path["key"])
    out = await call.service.publishing.withdraw(circle, key)
    return json_response(
        shapes.WithdrawnDocument(key, out.contribution.text, True, WITHDRAWN)
    )


async def list_contributions(call: Call) -> web.Response:
    """Answer what of this person is out in a circle, or what of everybody is."""
    query: shapes.ContributionsQuery = call.query
    circle = _circle(call)
    found = publishing.ledger(circle) if query.mine else publishing.everything(circle)
    after = decode_cursor(query.cursor)
    names = [out.contribution.id.hex() for out in found]
    begin = names.index(after) + 1 if after in names else 0
    page = found[begin : begin + query.limit]
    is_more = begin + query.limit < len(found)
    following = encode_cursor(page[-1].contribution.id.hex()) if is_more else None
    items = [contribution_document(call, circle, out) for out in page]
    return json_response(shapes.ContributionList(items, following))


def contribution_document(
    call: Call, circle: Circle, out: Out
) -> shapes.ContributionDocument:
    """Return a contribution as the API shows it, with where it was seen last."""
    contribution = out.contribution
    place = call.service.bridge.place_of(circle.id, contribution.id)
    return shapes.ContributionDocument(
        id=contribution.id.hex(),
        author=contribution.author.hex(),
        alias=circle.alias(contribution.author),
        mine=contribution.author == circle.records.author,
        text=contribution.text,
        node=out.node,
        since=format_time(out.since_ms),
        consensus=None if place is None else place.key.hex(),
        label=None if place is None else place.label,
    )


def _circle(call: Call) -> Circle:
    return call.service.circles.circle(call.path["id"])
