"""What Swagger shows of conflicts with hospitals."""

from __future__ import annotations

from service.api.examples import COUNT, Body, Operation, Parameter

TAG = "Synchronisation"
PLAIN = "application/json"
CONFLICT = Parameter("id", "The id of the conflict, which is that of its Task", place="path")

CONFLICTS: dict[str, Operation] = {
    "conflicts": Operation(
        "Conflicts",
        "Resources of which we and a hospital have changed the same elements: the connection, both references, the "
        "elements. Different elements were merged without a word. Each open conflict has a Task (`requested`, "
        "`conflict`). `next` is the `after` of the next page.",
        TAG,
        (Parameter("after", "The `next` of the page before"), COUNT),
        errors=(400, 503),
        media=PLAIN,
    ),
    "conflict": Operation(
        "A conflict",
        "With three versions in our form: `base`, on which both sides agreed last, `ours` and `theirs`.",
        TAG,
        (CONFLICT,),
        errors=(404, 409, 503),
        media=PLAIN,
    ),
    "conflictResolve": Operation(
        "Resolve a conflict",
        "`keep` decides the elements that both changed; what only one side changed stays merged. Or send the resource "
        "as it shall be: it is validated like any other. It is stored here at once, and written to the hospital by "
        "the next push.",
        TAG,
        (CONFLICT,),
        (
            Body("conflict-ours.json", "Our version stands", 200, PLAIN),
            Body("conflict-theirs.json", "The hospital's version stands", 200, PLAIN),
            Body("conflict-merged.json", "Neither: this is the result", 200),
        ),
        errors=(400, 404, 409, 412, 415, 422, 503),
        media=PLAIN,
    ),
}
