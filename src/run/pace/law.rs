//! The control law: what pace the service's answers call for.
//!
//! The service refuses by token buckets. Between two refusals a bucket is empty at both ends, so
//! what it let through in between, over the time in between, is its rate: the pace is set to that
//! estimate. Without refusals it grows, slowly at first, so that a little under the limit it stays
//! for long, then faster and faster, so that a limit that was raised is soon found.

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

/// The control law. Times are seconds from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Law {
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
    /// A law that has just come to a pace, for tests.
    #[cfg(test)]
    pub(super) fn at(rate: f64) -> Self {
        Law {
            rate: Some(rate),
            ..Law::default()
        }
    }

    /// Whether there is no pace: nothing was refused so far.
    pub(super) fn is_free(&self) -> bool {
        self.rate.is_none()
    }

    /// The pace, in calls per second, if there is one.
    pub(super) fn rate(&mut self, now: f64) -> Option<f64> {
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

    /// A call was let through that was made at `sent`.
    pub(super) fn accepted(&mut self, now: f64, _sent: f64) {
        self.first.get_or_insert(now);
        self.accepted += 1.0;
        self.since_anchor += 1.0;
        self.rate(now);
    }

    /// A call was refused that was made at `sent`.
    pub(super) fn refused(&mut self, now: f64, sent: f64) {
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
        self.probing &= sent <= self.anchor || since <= 0.1;
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
            let answer = answers.peek().map_or(
                f64::INFINITY,
                |Reverse((at, ..)): &Reverse<(u64, u64, bool)>| *at as f64 / 1e9,
            );
            let then = send.min(answer).min(next_rival);
            let (limit, rival) = ((world.limit)(then), (world.rival)(then));
            tokens = (tokens + limit * (then - now)).min(world.burst * limit);
            available += (limit - rival) * (then - now);
            now = then;
            if answer <= now {
                match answers.pop() {
                    Some(Reverse((_, sent, true))) => law.accepted(now, sent as f64 / 1e9),
                    Some(Reverse((_, sent, false))) => law.refused(now, sent as f64 / 1e9),
                    None => unreachable!("there is an answer"),
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
                answers.push(Reverse((
                    nanoseconds(now + takes),
                    nanoseconds(now),
                    through,
                )));
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
}
