"""docs/states.md, walked: each state × everybody × every road, with the answers that the page promises.

The roads of each row are in roads.py. What an answer is called:
    ok    it is there                      old   the newest verified version in place of main
    nf    as if it had never been          rev   404 for the version, as for one that never was
    held  403 with the moderators' reason, or the page that gives it; gone: the same page with 410
    gate  ask the owner first              in    sign in first            no   not allowed, or no bytes
    arch  archived, and told so            bad   the token ended          .    has no browser
    in, - of lists, counts and the feed: it is in there (the kinds of entries), or nothing of it is
"""

import pytest

from registry.talk import dispatch
from tests.roads import roads
from tests.roads.callers import WHO, end_two
from tests.roads.world import NAME, STATES, World

TABLE = """
                                                          alice bob robot erin dave carol nobody mona sue lea
public
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok ok ok ok ok ok
info, history, commit, about, REST, REST version          ok ok ok ok ok ok ok ok bad bad
files, S3, files of commit, S3 of commit, right           ok ok ok ok ok ok ok ok bad bad
OCI, OCI of commit, OCI lists                             ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok ok ok ok no no
lists, S3 lists, facets, tags                             in in in in in in in in bad bad
lists of pages                                            in in . in in in in in in in
home                                                      in in . in in in - in - -
feed                                                      push+verdict *8 bad bad
push                                                      ok ok ok no no no in no bad bad
propose                                                   ok ok ok ok ok ok in ok bad bad

private
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok nf nf nf nf nf
info, history, commit, about, REST, REST version          ok ok ok ok ok nf nf nf bad bad
files, S3, files of commit, S3 of commit, right           ok ok ok ok ok nf nf nf bad bad
OCI, OCI of commit, OCI lists                             ok ok ok ok ok nf nf nf bad bad
from before                                               ok ok ok ok ok no no no no no
lists, S3 lists, facets                                   in in in in in - - - bad bad
tags                                                      - - - - - - - - bad bad
lists of pages                                            in in . in in - - - - -
home                                                      in in . in in - - - - -
feed                                                      push+verdict *5 - - - bad bad
push                                                      ok ok ok no no nf nf nf bad bad
propose                                                   ok ok ok ok ok nf nf nf bad bad

gated
page, tree page, proof pages, talk pages                  ok ok . ok ok ok ok ok ok ok
file pages                                                ok ok . ok ok gate in gate in in
info, history, commit, about, REST, REST version          ok ok ok ok ok ok ok ok bad bad
files, S3, files of commit, S3 of commit, right           ok ok ok ok ok gate gate gate bad bad
OCI, OCI of commit                                        ok ok ok ok ok gate gate gate bad bad
OCI lists                                                 ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok no no no no no
lists, S3 lists, facets, tags                             in in in in in in in in bad bad
lists of pages                                            in in . in in in in in in in
home                                                      in in . in in in - in - -
feed                                                      push+verdict *8 bad bad
push                                                      ok ok ok no no no in no bad bad
propose                                                   ok ok ok ok ok ok in ok bad bad

yanked version
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok ok ok ok ok ok
info, files, S3                                           old old old old old old old old bad bad
history, commit, about, REST, REST version                ok ok ok ok ok ok ok ok bad bad
files of commit, S3 of commit, right                      ok ok ok ok ok ok ok ok bad bad
OCI                                                       old old old old old old old old bad bad
OCI of commit, OCI lists                                  ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok ok ok ok no no
lists, S3 lists, facets                                   in in in in in in in in bad bad
tags                                                      - - - - - - - - bad bad
lists of pages                                            in in . in in in in in in in
home                                                      in in . in in in - in - -
feed                                                      push+verdict+yank *8 bad bad
push                                                      ok ok ok no no no in no bad bad
propose                                                   ok ok ok ok ok ok in ok bad bad

all versions yanked
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok ok ok ok ok ok
info, files                                               rev rev rev rev rev rev rev rev bad bad
S3                                                        nf nf nf nf nf nf nf nf bad bad
history, commit, about, REST, REST version                ok ok ok ok ok ok ok ok bad bad
files of commit, S3 of commit, right                      ok ok ok ok ok ok ok ok bad bad
OCI                                                       rev rev rev rev rev rev rev rev bad bad
OCI of commit, OCI lists                                  ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok ok ok ok no no
lists, S3 lists, facets                                   in in in - - - - - bad bad
tags                                                      - - - - - - - - bad bad
lists of pages                                            in in . - - - - in - -
home                                                      in in . - - - - in - -
feed                                                      push+verdict+yank *3 yank *5 bad bad
push                                                      ok ok ok no no no in no bad bad
propose                                                   ok ok ok ok ok ok in ok bad bad

deprecated
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok ok ok ok ok ok
info, history, commit, about, REST, REST version          ok ok ok ok ok ok ok ok bad bad
files, S3, files of commit, S3 of commit, right           ok ok ok ok ok ok ok ok bad bad
OCI, OCI of commit, OCI lists                             ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok ok ok ok no no
lists, S3 lists, facets, tags                             in in in in in in in in bad bad
lists of pages                                            in in . in in in in in in in
home                                                      in in . in in in - in - -
feed                                                      push+verdict *8 bad bad
push                                                      ok ok ok no no no in no bad bad
propose                                                   ok ok ok ok ok ok in ok bad bad

archived
page, tree page, proof pages, file pages, talk pages      ok ok . ok ok ok ok ok ok ok
info, history, commit, about, REST, REST version          ok ok ok ok ok ok ok ok bad bad
files, S3, files of commit, S3 of commit, right           ok ok ok ok ok ok ok ok bad bad
OCI, OCI of commit, OCI lists                             ok ok ok ok ok ok ok ok bad bad
from before                                               ok ok ok ok ok ok ok ok no no
lists, S3 lists, facets, tags                             in in in in in in in in bad bad
lists of pages                                            in in . in in in in in in in
home                                                      in in . in in in - in - -
feed                                                      push+verdict *8 bad bad
push                                                      arch arch arch no no no in no bad bad
propose                                                   arch arch arch arch arch arch in arch bad bad

version quarantined
page                                                      held held . ok ok ok ok held ok ok
talk pages                                                held held . ok ok ok ok held ok ok
proof pages                                               ok ok . rev rev rev rev ok rev rev
tree page, file pages                                     held held . rev rev rev rev held rev rev
info, history, commit                                     ok ok ok rev rev rev rev rev bad bad
about, right                                              ok ok ok ok ok ok ok ok bad bad
REST                                                      ok ok ok nf nf nf nf nf bad bad
REST version                                              held held held rev rev rev rev rev bad bad
files, files of commit                                    held held held rev rev rev rev rev bad bad
S3, S3 of commit                                          held held held nf nf nf nf nf bad bad
OCI, OCI of commit                                        held held held rev rev rev rev rev bad bad
OCI lists                                                 ok ok ok ok ok ok ok ok bad bad
from before                                               no no no no no no no no no no
lists, S3 lists, facets                                   in in in - - - - - bad bad
tags                                                      - - - - - - - - bad bad
lists of pages                                            in in . - - - - in - -
home                                                      in in . - - - - in - -
feed                                                      push+quarantine+verdict *3 quarantine *5 bad bad
propose                                                   ok ok ok rev rev rev in rev bad bad
push                                                      ok ok ok no no no in no bad bad

quarantined
page, tree page, proof pages, file pages, talk pages      held held . nf nf nf nf held nf nf
info, history, commit, about, REST, REST version          held held held nf nf nf nf nf bad bad
files, S3, files of commit                                held held held nf nf nf nf nf bad bad
S3 of commit, right, push, propose                        held held held nf nf nf nf nf bad bad
OCI, OCI of commit, OCI lists                             held held held nf nf nf nf nf bad bad
from before                                               no no no no no no no no no no
lists, S3 lists, facets, tags                             - - - - - - - - bad bad
lists of pages                                            - - . - - - - - - -
home                                                      in in . - - - - - - -
feed                                                      quarantine *8 bad bad

removed
page, tree page, proof pages, file pages, talk pages      gone gone . nf nf nf nf gone nf nf
info, history, commit, about, REST, REST version          held held held nf nf nf nf nf bad bad
files, S3, files of commit                                held held held nf nf nf nf nf bad bad
S3 of commit, right, push, propose                        held held held nf nf nf nf nf bad bad
OCI, OCI of commit, OCI lists                             held held held nf nf nf nf nf bad bad
from before                                               no no no no no no no no no no
lists, S3 lists, facets, tags                             - - - - - - - - bad bad
lists of pages                                            - - . - - - - - - -
home                                                      in in . - - - - - - -
feed                                                      quarantine *8 bad bad

in the bin
page, tree page, proof pages, file pages, talk pages      nf nf . nf nf nf nf nf nf nf
info, history, commit, about, REST, REST version          nf nf nf nf nf nf nf nf bad bad
files, S3, files of commit                                nf nf nf nf nf nf nf nf bad bad
S3 of commit, right, push, propose                        nf nf nf nf nf nf nf nf bad bad
OCI, OCI of commit, OCI lists                             nf nf nf nf nf nf nf nf bad bad
from before                                               no no no no no no no no no no
lists, S3 lists, facets, tags                             - - - - - - - - bad bad
lists of pages                                            - - . - - - - - - -
home                                                      - - . - - - - - - -
feed                                                      delete *8 bad bad
"""


def cells() -> dict[str, dict[str, list[str]]]:
    """State → row → the word for each of WHO; `yank *3` stands for three of them."""
    states: dict[str, dict[str, list[str]]] = {}
    for line in TABLE.strip().splitlines()[1:]:
        rows, _, rest = line.partition("   ")
        if not rest and rows:
            states[rows] = {}
        words: list[str] = []
        for each in rest.split():
            words += words[-1:] * (int(each[1:]) - 1) if each.startswith("*") else [each]
        if rest:
            newest = states[list(states)[-1]]
            newest.update(dict.fromkeys(rows.split(", "), words))
    return states


EXPECTED = cells()


def ask(row: str, who: str, world: World) -> set[str]:
    """Return the words for the roads of a row; one, unless they differ."""
    browser, program = world.callers.browsers.get(who), world.callers.programs[who]
    client = browser if row in roads.BY_BROWSER or row in ("lists of pages", "home") else program
    if client is None:
        return {"."}
    match row:
        case "from before":
            return {roads.from_before(who, client, world)}
        case "lists" | "lists of pages":
            return {roads.in_lists(client, world, row)}
        case "home":  # of strangers: what was proven; of people: what is theirs too, and what waits for them
            return {roads.in_list("/", client, world)}
        case "S3 lists":
            return {roads.in_s3_lists(client)}
        case "facets":
            return {roads.in_facets(client)}
        case "tags":
            return {roads.in_tags(client)}
        case "feed":
            return {roads.in_feed(client)}
    return {roads.walk(road, client, world) for road in roads.ROADS[row]}


# What may not be seen at all, and a version of what may be seen. The other states have tests of their own.
EACH_CHANGE = {"private", "version quarantined"}


@pytest.mark.parametrize(
    "state", [pytest.param(one, marks=[] if one in EACH_CHANGE else [pytest.mark.merge]) for one in STATES]
)
def test_a_state_answers_on_every_road_as_its_page_says(world, state):
    STATES[state](world)
    dispatch.run()
    end_two(world.cast)
    wrong = []
    for row, words in EXPECTED[state].items():
        for who, expected in zip(WHO, words, strict=True):
            if (got := ask(row, who, world)) != {expected}:
                wrong.append(f"{row}, {who}: {', '.join(sorted(got))}; expected {expected}")
    assert not wrong, "\n".join(wrong)


def test_of_a_held_version_neither_its_commit_nor_its_paths_are_told(world):
    STATES["version quarantined"](world)
    for who in ("carol", "nobody", "mona"):
        program = world.callers.programs[who]
        answers = [
            program.get(f"/{NAME}/resolve/{rev}/{path}")
            for rev in ("main", world.new.oid)
            for path in ("curve.png", "weights.safetensors", "no-such-file")
        ]
        assert {answer["X-Error-Code"] for answer in answers} == {"RevisionNotFound"}
        assert not any(answer.has_header("X-Repo-Commit") for answer in answers)


def test_no_answer_names_a_held_commit_to_who_may_not_see_it(world):
    STATES["version quarantined"](world)
    told = []
    for who in ("erin", "carol", "nobody"):
        for row, group in roads.ROADS.items():
            client = (world.callers.browsers if row in roads.BY_BROWSER else world.callers.programs)[who]
            for road in group:
                answer = road.ask(client, NAME, "main")
                body = b"" if answer.streaming else answer.content
                if world.new.oid in f"{body.decode(errors='replace')} {answer.headers}":
                    told.append(f"{who}: {road.method} {road.path}")
    assert told == []


def test_the_table_has_a_row_for_every_state_and_road():
    assert EXPECTED.keys() == STATES.keys()
    rows = {*roads.ROADS, "from before", "lists", "S3 lists", "facets", "tags", "lists of pages", "home", "feed"}
    assert [state for state in STATES if EXPECTED[state].keys() != rows] == []
