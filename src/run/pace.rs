//! Starts per second: the user's bound, and one shared slow-down when the service throttles.
//!
//! They are two schedules, because they count different things. The user's bound counts starts,
//! whatever calls a start takes; the service counts calls.
//!
//! The service refuses by token buckets. Between two refusals a bucket is empty at both ends, so
//! what it let through in between, over the time in between, is its rate: the pace is set to that
//! estimate. Without refusals it grows, slowly at first, so that a little under the limit it stays
//! for long, then faster and faster, so that a limit that was raised is soon found.

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// Time without refusals after which the pace grows, in seconds.
const QUIET: f64 = 0.5;

/// Growth per second at first, and at most.
const FIRST_GROWTH: f64 = 0.05;
const MOST_GROWTH: f64 = 2.0;

/// Time in which growth doubles, in seconds.
const GROWTH_DOUBLES_IN: f64 = 0.7;

/// Growth per second after the first refusal until the next one: the first estimate is a guess.
const PROBING_GROWTH: f64 = 1.5;

/// Seconds and calls that an estimate is made from at least.
const ESTIMATE_SECONDS: f64 = 0.25;
const ESTIMATE_CALLS: f64 = 10.0;

/// Share of an estimate that the pace is set to.
const BELOW_ESTIMATE: f64 = 0.99;

/// What is left of the pace when refusals go on before there is an estimate.
const EASE: f64 = 0.85;

/// Slowest pace, in calls per second.
const SLOWEST: f64 = 0.5;

/// A change of pace that is worth telling: a factor.
const WORTH_TELLING: f64 = 1.1;

/// Lets attempts of starts pass, not faster than the user and the service allow.
#[derive(Debug)]
pub struct Pace {
    /// Only the first in the queue looks at the clock, so that it sees the newest pace.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    began: Instant,
    most: Option<f64>,
}

#[derive(Debug)]
struct State {
    law: Law,
    /// When the user's bound lets the next start pass, and when the law the next call.
    next_start: f64,
    next_call: f64,
    told: Option<f64>,
}

/// How far the schedule may lie back, in seconds: a timer wakes up to a millisecond late, and
/// what it costs is caught up.
const CATCH_UP: f64 = 0.01;

/// Shortest sleep, in seconds. tokio's timers count milliseconds.
const SHORTEST_SLEEP: f64 = 0.001;

impl Pace {
    /// A pace of at most `most` starts per second, if that is given.
    pub fn new(most: Option<f64>) -> Self {
        let state = State {
            law: Law::default(),
            next_start: 0.0,
            next_call: 0.0,
            told: None,
        };
        Pace {
            queue: tokio::sync::Mutex::new(()),
            state: Mutex::new(state),
            began: Instant::now(),
            most,
        }
    }

    /// Whether everything passes at once, so that nobody has to ask for a permit.
    pub fn is_unbound(&self) -> bool {
        self.most.is_none() && self.lock().law.rate.is_none()
    }

    /// Waits until an attempt of a start may be made: a start to the user, and one call to the
    /// service. What the attempt calls beyond that goes out at once and is charged with
    /// [`Pace::charge`]. Dropping the future gives the place in the queue up.
    pub async fn permit(&self) {
        let _first = self.queue.lock().await;
        let now = self.now();
        let due = {
            let mut state = self.lock();
            let start = self
                .most
                .map(|most| take(&mut state.next_start, now, 1.0 / most));
            let rate = state.law.rate(now);
            let call = rate.map(|rate| take(&mut state.next_call, now, 1.0 / rate));
            start.unwrap_or(now).max(call.unwrap_or(now))
        };
        if due > now + SHORTEST_SLEEP {
            tokio::time::sleep_until(self.began + Duration::from_secs_f64(due)).await;
        }
    }

    /// Counts calls that were made without a permit. They are a debt: later permits wait for as
    /// long as these calls would have waited. The user's bound does not count them.
    pub fn charge(&self, calls: u32) {
        let now = self.now();
        let mut state = self.lock();
        if let Some(rate) = state.law.rate(now) {
            take(&mut state.next_call, now, f64::from(calls) / rate);
        }
    }

    /// The service let a call through.
    pub fn accepted(&self) {
        let now = self.now();
        self.lock().law.accepted(now);
    }

    /// The service throttled a call. Returns the new pace if it is worth telling.
    pub fn throttled(&self) -> Option<f64> {
        let now = self.now();
        let mut state = self.lock();
        state.law.refused(now);
        let rate = state.law.rate(now)?;
        let near = |told: f64| rate < told * WORTH_TELLING && told < rate * WORTH_TELLING;
        if state.told.is_some_and(near) {
            return None;
        }
        state.told = Some(rate);
        Some(rate)
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

/// Takes the next place in a schedule, which is `length` seconds long. Returns when it begins.
fn take(next: &mut f64, now: f64, length: f64) -> f64 {
    let due = next.max(now - CATCH_UP);
    *next = due + length;
    due
}

/// The control law. Times are seconds from any fixed moment.
#[derive(Debug, Default)]
struct Law {
    /// Calls per second; nothing before the first refusal.
    rate: Option<f64>,
    /// Time of the first answer, and how many calls were let through since.
    first: Option<f64>,
    accepted: f64,
    /// Time of the refusal that the current estimate begins at, and what was let through since.
    anchor: f64,
    since_anchor: f64,
    last_refusal: f64,
    last_cut: f64,
    grown_until: f64,
    /// Whether the pace still is a first guess.
    probing: bool,
}

impl Law {
    fn rate(&mut self, now: f64) -> Option<f64> {
        let rate = self.rate.as_mut()?;
        let elapsed = now - self.grown_until;
        if elapsed > 0.0 {
            self.grown_until = now;
            let quiet = now - self.last_refusal;
            let growth = if self.probing {
                PROBING_GROWTH
            } else if quiet > QUIET {
                (FIRST_GROWTH * 2f64.powf((quiet - QUIET) / GROWTH_DOUBLES_IN)).min(MOST_GROWTH)
            } else {
                0.0
            };
            *rate *= 1.0 + growth * elapsed.min(1.0);
        }
        Some(*rate)
    }

    fn accepted(&mut self, now: f64) {
        self.first.get_or_insert(now);
        self.accepted += 1.0;
        self.since_anchor += 1.0;
        self.rate(now);
    }

    fn refused(&mut self, now: f64) {
        let first = *self.first.get_or_insert(now);
        let Some(rate) = self.rate(now) else {
            // The bucket was full when we came: it held up to two seconds' worth.
            self.rate = Some((self.accepted / (now - first + 2.0)).max(SLOWEST));
            self.probing = true;
            (self.anchor, self.since_anchor) = (now, 0.0);
            (self.last_refusal, self.last_cut, self.grown_until) = (now, now, now);
            return;
        };
        let since = now - self.anchor;
        // The rest of the calls that were in flight at the first refusal tell nothing new.
        self.probing &= since <= 0.1;
        if since >= ESTIMATE_SECONDS.max(ESTIMATE_CALLS / rate) {
            let estimate = self.since_anchor / since * BELOW_ESTIMATE;
            self.rate = Some(rate.min(estimate).max(rate * 0.3).max(SLOWEST));
            (self.anchor, self.since_anchor, self.last_cut) = (now, 0.0, now);
        } else if now - self.last_cut > (0.05f64).max(2.0 / rate) {
            self.rate = Some((rate * EASE).max(SLOWEST));
            self.last_cut = now;
        }
        self.last_refusal = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    /// A service with a token bucket, and a client that always has another call to make.
    struct World {
        limit: fn(f64) -> f64,
        /// Seconds' worth that the bucket holds.
        burst: f64,
        /// Calls per second of another client, which come at random.
        rival: fn(f64) -> f64,
        latency: f64,
    }

    const SLOTS: usize = 50;
    const SECONDS: f64 = 40.0;

    /// Share of what was to be had, and share of calls that were refused.
    fn simulate(world: &World) -> (f64, f64) {
        let mut random = fastrand::Rng::with_seed(7);
        let mut law = Law::default();
        let (mut now, mut tokens, mut next) = (0.0f64, world.burst * (world.limit)(0.0), 0.0f64);
        let (mut accepted, mut refused, mut available) = (0.0, 0.0, 0.0);
        let mut next_rival = 0.0f64;
        let mut answers = BinaryHeap::new();
        let nanoseconds = |seconds: f64| (seconds * 1e9) as u64;
        while now < SECONDS {
            let send = if answers.len() < SLOTS {
                next.max(now)
            } else {
                f64::INFINITY
            };
            let answer = answers
                .peek()
                .map_or(f64::INFINITY, |Reverse((at, _)): &Reverse<(u64, bool)>| {
                    *at as f64 / 1e9
                });
            let then = send.min(answer).min(next_rival);
            let (limit, rival) = ((world.limit)(then), (world.rival)(then));
            tokens = (tokens + limit * (then - now)).min(world.burst * limit);
            available += (limit - rival) * (then - now);
            now = then;
            if answer <= now {
                match answers.pop() {
                    Some(Reverse((_, true))) => law.accepted(now),
                    _ => law.refused(now),
                }
            } else if next_rival <= now {
                if tokens >= 1.0 && rival > 0.0 {
                    tokens -= 1.0;
                }
                next_rival = now
                    + if rival > 0.0 {
                        -random.f64().ln() / rival
                    } else {
                        0.1
                    };
            } else {
                let through = tokens >= 1.0;
                if through {
                    tokens -= 1.0;
                    accepted += 1.0;
                } else {
                    refused += 1.0;
                }
                let takes = world.latency * (0.5 + random.f64());
                answers.push(Reverse((nanoseconds(now + takes), through)));
                // Without a pace the client is as fast as its processor.
                next = now + 1.0 / law.rate(now).unwrap_or(30_000.0);
            }
        }
        let bound = available.min(SLOTS as f64 / world.latency * SECONDS);
        (accepted / bound, refused / (accepted + refused))
    }

    fn nobody(_: f64) -> f64 {
        0.0
    }

    #[test]
    fn a_steady_limit_is_used_and_little_is_refused() {
        let limits: [fn(f64) -> f64; 3] = [|_| 50.0, |_| 1_000.0, |_| 5_000.0];
        for limit in limits {
            for burst in [0.1, 1.0, 2.0] {
                // One call more or less is a fifth of a bucket of five.
                if burst * limit(0.0) < 10.0 {
                    continue;
                }
                for latency in [0.001, 0.005] {
                    let (used, refused) = simulate(&World {
                        limit,
                        burst,
                        rival: nobody,
                        latency,
                    });
                    let at = format!("limit {}, burst {burst}, latency {latency}", limit(0.0));
                    assert!(used > 0.9, "{at}: only {used:.3} used");
                    assert!(refused < 0.05, "{at}: {refused:.3} refused");
                }
            }
        }
    }

    #[test]
    fn a_limit_that_changes_is_followed() {
        let limits: [fn(f64) -> f64; 3] = [
            |now| if now % 20.0 < 10.0 { 1_000.0 } else { 300.0 },
            |now| if now % 20.0 < 10.0 { 50.0 } else { 200.0 },
            |now| if now < 10.0 { 100.0 } else { 2_000.0 },
        ];
        for limit in limits {
            let world = World {
                limit,
                burst: 1.0,
                rival: nobody,
                latency: 0.002,
            };
            let (used, refused) = simulate(&world);
            assert!(
                used > 0.85,
                "limit from {}: only {used:.3} used",
                limit(0.0)
            );
            assert!(
                refused < 0.15,
                "limit from {}: {refused:.3} refused",
                limit(0.0)
            );
        }
    }

    #[test]
    fn a_rival_is_given_its_half() {
        let steady: fn(f64) -> f64 = |_| 1_000.0;
        let slow: fn(f64) -> f64 = |_| 50.0;
        let late: fn(f64) -> f64 = |now| if now > 10.0 { 500.0 } else { 0.0 };
        let passing: fn(f64) -> f64 = |now| {
            if (10.0..30.0).contains(&now) {
                25.0
            } else {
                0.0
            }
        };
        for (limit, rival) in [(steady, late), (slow, passing)] {
            let (used, refused) = simulate(&World {
                limit,
                burst: 1.0,
                rival,
                latency: 0.002,
            });
            assert!(used > 0.85, "limit {}: only {used:.3} used", limit(0.0));
            assert!(refused < 0.15, "limit {}: {refused:.3} refused", limit(0.0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_users_bound_holds_to_the_millisecond() {
        let pace = Pace::new(Some(5_000.0));
        for _ in 0..10_000 {
            pace.permit().await;
        }
        let took = pace.began.elapsed().as_secs_f64();
        assert!((1.98..2.02).contains(&took), "{took}");
    }
    /// A pace of so many calls per second that the service has brought about just now.
    fn throttled_to(rate: f64, most: Option<f64>) -> Pace {
        let pace = Pace::new(most);
        pace.lock().law.rate = Some(rate);
        pace
    }

    #[tokio::test(start_paused = true)]
    async fn the_users_bound_counts_starts_whatever_calls_they_take() {
        let pace = throttled_to(1_000_000.0, Some(1_000.0));
        for _ in 0..400 {
            pace.permit().await;
            pace.charge(2);
        }
        let took = pace.began.elapsed().as_secs_f64();
        assert!((0.38..0.42).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_services_bound_counts_calls() {
        let pace = throttled_to(1_000.0, Some(1_000.0));
        for _ in 0..130 {
            pace.permit().await;
            pace.charge(2);
        }
        let took = pace.began.elapsed().as_secs_f64();
        assert!((0.37..0.41).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_nobody_throttles_are_no_debt() {
        let pace = Pace::new(None);
        pace.charge(1_000);
        pace.permit().await;
        pace.throttled();
        pace.permit().await;
        assert_eq!(pace.began.elapsed().as_secs_f64(), 0.0);
    }
}
