"""Shares of a limit: never more than the limit over all terminals, whatever is lost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from hal_sim.host.shares import Grant, ShareBook

KEY, WINDOW = "L", "2026-11"


# --- any number of terminals, any loss ----------------------------------------------------------------------------------


@dataclass
class Opt:
    """A terminal by the contract: its list, its own sales, and what it has still to send, in order."""

    name: str
    grant: Grant | None = None
    edition: int = 0
    sequence: int = 0
    delivered: dict[int, int] = field(default_factory=dict)
    holds: dict[int, int] = field(default_factory=dict)
    outbox: deque[tuple[str, int, int]] = field(default_factory=deque)
    words: list[tuple[int, int]] = field(default_factory=list)

    def left(self) -> int:
        """What may be taken offline: the share less own deliveries above its watermark and all own holds."""
        if self.grant is None:
            return 0
        own = sum(amount for sequence, amount in self.delivered.items() if (1, sequence) > self.grant.watermark)
        return max(0, self.grant.amount - own - sum(self.holds.values()))

    def taken(self) -> int:
        """What it has delivered and may still deliver of what it has released."""
        return sum(self.delivered.values()) + sum(self.holds.values())


class Fleet:
    """Some terminals at one host that shares one limit among them."""

    def __init__(self, count: int, limit_amount: int) -> None:
        self.limit = limit_amount
        self.shares = ShareBook()
        self.opts = [Opt(f"T{number}") for number in range(count)]
        self.edition = 0
        self.published: dict[str, tuple[int, Grant | None]] = {}
        self.booked: dict[str, dict[int, int]] = {opt.name: {} for opt in self.opts}
        self.held: dict[str, dict[int, tuple[int, bool]]] = {opt.name: {} for opt in self.opts}
        self.used = 0

    def mark(self, opt: Opt) -> int:
        """Up to here the host has every record of this terminal."""
        mark = 0
        while mark + 1 in self.booked[opt.name]:
            mark += 1
        return mark

    def rest(self, opt: Opt, sequence: int) -> int:
        """What the host would approve for this sale."""
        current = self.mark(opt) >= sequence - 1
        held = sum(amount for amount, _ in self.held[opt.name].values())
        return max(0, self.limit - self.used - held - self.shares.kept_back(KEY, WINDOW, opt.name, current=current))

    def publish(self, opt: Opt, wanted: int, flag: bool) -> None:
        """A new list for one terminal."""
        self.edition += 1
        rest, mark = self.limit - self.used, (1, self.mark(opt))
        grant = self.shares.grant(KEY, WINDOW, opt.name, wanted=wanted, rest=rest, watermark=mark, edition=self.edition)
        self.published[opt.name] = (self.edition, grant)

    def adopt(self, opt: Opt, amount: int, flag: bool) -> None:
        """It fetches its newest list; what it says of that is on its way, or lost."""
        edition, grant = self.published.get(opt.name, (0, None))
        if edition > opt.edition:
            opt.edition, opt.grant = edition, grant
            if flag:
                opt.words.append((edition, opt.sequence))

    def say(self, opt: Opt, amount: int, flag: bool) -> None:
        """A word about an adopted list arrives, in whatever order, perhaps twice."""
        if opt.words:
            word = opt.words[amount % len(opt.words)]
            self.shares.applied(opt.name, word[0])
            self.shares.follows(opt.name, word[0], (1, word[1]))
            self.shares.settle(opt.name, (1, self.mark(opt)))
            if flag:
                opt.words.remove(word)

    def renew(self, opt: Opt, wanted: int, flag: bool) -> None:
        """A new share that arrives, and is said to have."""
        self.publish(opt, wanted, flag)
        self.adopt(opt, 0, True)
        self.say(opt, len(opt.words) - 1, flag)

    def offline(self, opt: Opt, amount: int, flag: bool) -> None:
        """A sale that the terminal decides: released, and at once delivered or not."""
        opt.sequence += 1
        opt.holds[opt.sequence] = min(amount, opt.left())
        if flag:
            self.finish(opt, amount, True)

    def ask(self, opt: Opt, amount: int, flag: bool) -> None:
        """A sale that the host decides. When the answer is lost it is reversed, and decided offline under the same number."""
        opt.sequence += 1
        hold = min(amount, self.rest(opt, opt.sequence))
        on_top = self.mark(opt) < opt.sequence - 1
        self.held[opt.name][opt.sequence] = hold, on_top
        self.shares.hold(KEY, WINDOW, opt.name, hold, on_top=on_top)
        if not flag:
            opt.outbox.append(("reverse", opt.sequence, 0))
            hold = min(amount, opt.left())
        opt.holds[opt.sequence] = hold

    def finish(self, opt: Opt, amount: int, flag: bool) -> None:
        """A sale ends with what it was released, or with less."""
        if opt.holds:
            sequence = list(opt.holds)[amount % len(opt.holds)]
            volume = opt.holds.pop(sequence)
            volume = volume if flag else volume // 2
            opt.delivered[sequence] = volume
            opt.outbox.append(("record", sequence, volume))

    def upload(self, opt: Opt, amount: int, flag: bool) -> None:
        """The first message arrives; its answer, too, or it will be sent again."""
        if not opt.outbox:
            return
        kind, sequence, volume = opt.outbox[0]
        hold, on_top = self.held[opt.name].pop(sequence, (0, False))
        self.shares.hold(KEY, WINDOW, opt.name, -hold, on_top=on_top)
        if kind == "record" and sequence not in self.booked[opt.name]:
            self.booked[opt.name][sequence] = volume
            self.used += volume
            self.shares.book(KEY, WINDOW, opt.name, (1, sequence), volume, on_top=on_top)
            self.shares.settle(opt.name, (1, self.mark(opt)))
        if flag:
            opt.outbox.popleft()

    def check(self) -> None:
        """What was taken and what may still be taken by anybody, alone or by the host, is within the limit."""
        assert sum(opt.taken() + opt.left() for opt in self.opts) <= self.limit
        for opt in self.opts:  # and what the host would give this terminal at once, on top of all that it has taken
            apart = sum(each.taken() + each.left() for each in self.opts if each is not opt)
            given = self.rest(opt, opt.sequence + 1)
            assert apart + opt.taken() + max(given, opt.left()) <= self.limit


DEEDS = ("publish", "adopt", "say", "offline", "ask", "finish", "upload", "renew")
STEPS = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 3), st.integers(0, 120), st.booleans()), max_size=60)


@settings(deadline=None, max_examples=1000)
@given(st.integers(2, 4), st.lists(st.integers(0, 50), min_size=4, max_size=4), STEPS)
def test_never_more_than_the_limit_is_taken(count: int, wishes: list[int], steps: list[tuple[str, int, int, bool]]) -> None:
    fleet = Fleet(count, 100)
    for opt, wanted in zip(fleet.opts, wishes, strict=False):
        fleet.publish(opt, wanted, True)
        fleet.adopt(opt, 0, True)
    for deed, who, amount, flag in steps:
        getattr(fleet, deed)(fleet.opts[who % count], amount, flag)
        fleet.check()


def test_an_approval_beside_unknown_sales_comes_on_top_of_the_share() -> None:
    fleet = Fleet(2, 100)
    first, second = fleet.opts
    fleet.publish(first, 40, True)
    fleet.adopt(first, 0, True)
    fleet.offline(first, 40, True)
    fleet.ask(first, 30, True)
    assert (first.taken(), fleet.rest(second, 1)) == (70, 30)
    fleet.publish(second, 100, True)
    fleet.adopt(second, 0, True)
    assert second.left() == 30
    fleet.publish(first, 60, True)
    assert fleet.published["T0"][1] == Grant("G1", 40, (1, 0)), "nothing is left to raise it"
    fleet.check()


def test_a_sale_on_top_takes_nothing_of_the_share_that_an_unknown_sale_before_it_took() -> None:
    fleet = Fleet(2, 100)
    first, second = fleet.opts
    fleet.publish(first, 40, True)
    fleet.adopt(first, 0, True)
    fleet.offline(first, 40, False)
    fleet.ask(first, 30, True)
    fleet.finish(first, 1, True)
    fleet.upload(first, 0, True)
    assert (first.taken(), fleet.rest(second, 1), fleet.rest(first, 3)) == (70, 30, 30), "the first 40 are still out"
    fleet.finish(first, 0, True)
    fleet.upload(first, 0, True)
    assert (fleet.shares.out(KEY, WINDOW, "T0"), fleet.rest(first, 3)) == (0, 30)
    fleet.check()


def follow(fleet: Fleet, edition: int, through: int) -> int:
    """What is out at the first terminal once it has said that it follows this edition, its sales behind that number made by it."""
    fleet.shares.applied("T0", edition)
    fleet.shares.follows("T0", edition, (1, through))
    fleet.shares.settle("T0", (1, fleet.mark(fleet.opts[0])))
    return fleet.shares.out(KEY, WINDOW, "T0")


def test_what_was_taken_on_the_share_before_stays_out_until_it_is_heard_of() -> None:
    fleet = Fleet(2, 100)
    first, second = fleet.opts
    fleet.publish(first, 80, True)
    fleet.adopt(first, 0, True)
    fleet.offline(first, 70, True)
    fleet.publish(first, 0, True)
    fleet.adopt(first, 0, True)
    assert follow(fleet, 2, 1) == 80, "it follows the new one and has the old one's fuel in its outbox"
    assert fleet.rest(second, 1) == 20
    fleet.upload(first, 0, True)
    assert (fleet.shares.out(KEY, WINDOW, "T0"), fleet.rest(second, 1)) == (0, 30)


def test_a_share_that_was_lowered_is_out_until_the_terminal_follows_the_lower_one() -> None:
    fleet = Fleet(2, 100)
    first, second = fleet.opts
    fleet.publish(first, 80, True)
    fleet.adopt(first, 0, True)
    fleet.publish(first, 30, True)
    assert fleet.shares.out(KEY, WINDOW, "T0") == 80
    fleet.publish(second, 100, True)
    assert fleet.published["T1"][1] == Grant("G3", 20, (1, 0))
    assert follow(fleet, 1, 0) == 80, "that was about the first list"
    assert follow(fleet, 2, 0) == 30
    assert follow(fleet, 1, 0) == 30, "late, and no step back"
    fleet.publish(second, 100, True)
    assert fleet.published["T1"][1] == Grant("G4", 70, (1, 0))


def test_a_share_is_of_the_window_and_what_was_taken_of_it_is_taken_off() -> None:
    fleet = Fleet(1, 100)
    (opt,) = fleet.opts
    fleet.publish(opt, 50, True)
    fleet.adopt(opt, 0, True)
    fleet.offline(opt, 20, True)
    fleet.publish(opt, 50, True)
    assert fleet.published["T0"][1] == Grant("G1", 50, (1, 0)), "nothing new is known"
    fleet.upload(opt, 0, True)
    assert fleet.shares.out(KEY, WINDOW, "T0") == 30
    fleet.publish(opt, 50, True)
    assert fleet.published["T0"][1] == Grant("G2", 30, (1, 1))
    fleet.adopt(opt, 0, True)
    assert opt.left() == 30


def test_a_correction_sets_free_what_it_takes_away_and_takes_nothing_it_adds() -> None:
    shares = ShareBook()
    for key in ("A", "B"):
        shares.grant(key, WINDOW, "T0", wanted=50, rest=100, watermark=(1, 0), edition=1)
        shares.applied("T0", 1)
    shares.book("A", WINDOW, "T0", (1, 1), 20)
    assert shares.out("A", WINDOW, "T0") == 30
    shares.correct("T0", (1, 1), {("B", WINDOW): 20})
    assert (shares.out("A", WINDOW, "T0"), shares.out("B", WINDOW, "T0")) == (50, 50), "the terminal has not heard of it yet"
    shares.correct("T0", (1, 1), {("A", WINDOW): 20})
    assert shares.out("A", WINDOW, "T0") == 50
