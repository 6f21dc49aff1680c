import pytest

from waterflow.orchestration import login_throttle
from waterflow.orchestration.login_throttle import Attempt, LoginThrottle

ANN = Attempt("ann", "10.0.0.1")


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> LoginThrottle:
    """Return a throttle that has seen nothing."""
    return LoginThrottle(clock)


def test_five_failures_cost_nothing(throttle: LoginThrottle) -> None:
    """Who mistypes a password does not wait; the sixth attempt does."""
    assert [throttle.begin(ANN) for _ in range(5)] == [0.0] * 5
    assert throttle.begin(ANN) == 1.0


def test_each_failure_doubles_the_wait_up_to_a_minute(throttle: LoginThrottle, clock: Clock) -> None:
    """An account is slowed down and never locked."""
    waits = []
    for _ in range(20):
        wait = throttle.begin(ANN)
        if wait:
            waits.append(wait)
            clock.now += wait
            throttle.begin(ANN)
    assert waits[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert max(waits) == 60.0


def test_a_wait_stays_a_minute_after_days_of_guessing() -> None:
    """2.0 to the power of such a count is no number any more."""
    assert login_throttle.waiting_seconds(100_000) == 60.0


def test_a_refused_attempt_prolongs_nothing(throttle: LoginThrottle, clock: Clock) -> None:
    """Whoever hammers makes nobody else wait longer."""
    for _ in range(100):
        throttle.begin(ANN)
    clock.now += 1.0
    assert throttle.begin(ANN) == 0.0


def test_a_success_forgets(throttle: LoginThrottle) -> None:
    """The next mistake starts from nothing."""
    for _ in range(5):
        throttle.begin(ANN)
    throttle.succeed(ANN)
    assert throttle.begin(ANN) == 0.0


def test_failures_are_forgotten_after_a_quarter_of_an_hour(throttle: LoginThrottle, clock: Clock) -> None:
    """Yesterday's mistakes do not count."""
    for _ in range(5):
        throttle.begin(ANN)
    clock.now += login_throttle.FORGET_AFTER_SECONDS + 1
    assert [throttle.begin(ANN) for _ in range(5)] == [0.0] * 5


@pytest.mark.parametrize("other", [Attempt("ann", "10.0.0.2"), Attempt("bob", "10.0.0.1")])
def test_a_stranger_slows_down_nobody_else(throttle: LoginThrottle, other: Attempt) -> None:
    """Another address or another account has its own count."""
    for _ in range(50):
        throttle.begin(ANN)
    assert throttle.begin(other) == 0.0


def test_memory_is_bounded(throttle: LoginThrottle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The latest pairs are kept, whatever names are made up."""
    monkeypatch.setattr(login_throttle, "CAPACITY", 10)
    for number in range(1000):
        throttle.begin(Attempt(f"name-{number}", "10.0.0.1"))
    assert len(throttle._failures) == 10
