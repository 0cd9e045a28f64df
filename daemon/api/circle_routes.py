"""The routes of circles."""

from http import HTTPMethod
from typing import Final

from daemon.api import circle_shapes, circles, consensus, contributions, shapes
from daemon.api import consensus_shapes as resonance
from daemon.api.routing import Route

GET, PUT, POST = HTTPMethod.GET, HTTPMethod.PUT, HTTPMethod.POST
DELETE = HTTPMethod.DELETE
_CIRCLE: Final = "/v1/circles/{id}"
_MEMBER: Final = f"{_CIRCLE}/members/{{person}}"
_CONTRIBUTION: Final = f"{_CIRCLE}/contributions/{{key}}"
_CONSENSUS: Final = f"{_CIRCLE}/consensus/{{key}}"

CIRCLE_ROUTES: Final = (
    Route(
        GET,
        "/v1/circles",
        "The circles of the person",
        circles.list_circles,
        shapes.NoQuery,
        {200: circle_shapes.CircleList},
    ),
    Route(
        POST,
        "/v1/circles",
        "Found a circle",
        circles.post_circle,
        shapes.NoQuery,
        {201: circle_shapes.CircleDocument},
        body=circle_shapes.CircleContent,
    ),
    Route(
        POST,
        "/v1/circles/join",
        "Join a circle with a ticket",
        circles.join_circle,
        shapes.NoQuery,
        {201: circle_shapes.CircleDocument},
        body=circle_shapes.JoinCircleContent,
    ),
    Route(
        GET,
        _CIRCLE,
        "A circle and its members",
        circles.get_circle,
        shapes.NoQuery,
        {200: circle_shapes.CircleDocument},
    ),
    Route(
        DELETE,
        _CIRCLE,
        "Leave a circle for good",
        circles.leave_circle,
        shapes.NoQuery,
        {200: circle_shapes.CircleDocument},
    ),
    Route(
        POST,
        f"{_CIRCLE}/invites",
        "Invite into a circle",
        circles.post_invite,
        shapes.NoQuery,
        {201: circle_shapes.InviteDocument},
        body=circle_shapes.InviteContent,
    ),
    Route(
        DELETE,
        _MEMBER,
        "Remove a member for good",
        circles.delete_member,
        shapes.NoQuery,
        {200: circle_shapes.CircleDocument},
    ),
    Route(
        POST,
        f"{_MEMBER}/vouch",
        "Vouch for a member",
        circles.post_vouch,
        shapes.NoQuery,
        {200: circle_shapes.CircleDocument},
    ),
    Route(
        GET,
        f"{_CIRCLE}/preview/{{key}}",
        "Exactly what publishing a node would send",
        contributions.get_preview,
        shapes.NoQuery,
        {200: resonance.PreviewDocument},
    ),
    Route(
        GET,
        f"{_CIRCLE}/contributions",
        "What is out in a circle",
        contributions.list_contributions,
        resonance.ContributionsQuery,
        {200: resonance.ContributionList},
    ),
    Route(
        PUT,
        _CONTRIBUTION,
        "Publish a node",
        contributions.put_contribution,
        shapes.NoQuery,
        {200: resonance.PublishedDocument, 201: resonance.PublishedDocument},
    ),
    Route(
        DELETE,
        _CONTRIBUTION,
        "Withdraw what was published of a node",
        contributions.delete_contribution,
        shapes.NoQuery,
        {200: resonance.WithdrawnDocument},
    ),
    Route(
        GET,
        f"{_CIRCLE}/consensus",
        "What resonates in a circle",
        consensus.list_consensus,
        resonance.ConsensusQuery,
        {200: resonance.ConsensusList},
    ),
    Route(
        GET,
        _CONSENSUS,
        "A consensus node with its members",
        consensus.get_consensus,
        shapes.NoQuery,
        {200: resonance.ConsensusDetail},
    ),
    Route(
        GET,
        f"{_CONSENSUS}/tree",
        "The person's own nodes around a consensus node",
        consensus.get_tree,
        resonance.TreeQuery,
        {200: resonance.TreeDocument},
    ),
    Route(
        GET,
        f"{_CONSENSUS}/history",
        "A consensus node over time",
        consensus.get_history,
        resonance.HistoryQuery,
        {200: resonance.HistoryDocument},
    ),
    Route(
        POST,
        f"{_CONSENSUS}/vote",
        "Affirm a consensus node, or dissent",
        consensus.post_vote,
        shapes.NoQuery,
        {200: resonance.ConsensusDocument},
        body=resonance.VoteContent,
    ),
    Route(
        POST,
        f"{_CONSENSUS}/integrate",
        "Keep a consensus node in the graph",
        consensus.post_integrate,
        shapes.NoQuery,
        {201: resonance.IntegratedDocument},
        body=resonance.IntegrateContent,
    ),
)
