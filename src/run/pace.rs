//! Starts per second: the user's bound, and one shared slow-down when the service throttles.
//!
//! They are two schedules, because they count different things. The user's bound counts starts,
//! whatever calls a start takes; the service counts calls. `law` decides what the
//! second one is, from answers that `closings` puts in order.

mod closings;
mod evidence;
#[cfg(test)]
mod grid;
mod law;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod worlds;

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use closings::Closings;

/// A change of pace that is worth telling: a factor, and seconds since the last one.
const WORTH_TELLING: f64 = 1.1;
const TELL_EVERY: f64 = 1.0;

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
    law: Closings,
    /// When the user's bound lets the next start pass, and when the law the next call.
    next_start: f64,
    next_call: f64,
    /// How late the last sleep ended.
    late: f64,
    /// The pace that was last told, and when.
    told: Option<(f64, f64)>,
}

/// How far a schedule may lie back at most, in seconds: a timer wakes up to a millisecond late, and
/// what it costs is caught up. What nobody asked for in time is lost.
const CATCH_UP: f64 = 0.01;

/// Shortest sleep, in seconds. tokio's timers count milliseconds.
const SHORTEST_SLEEP: f64 = 0.001;

impl Pace {
    /// A pace of at most `most` starts per second, if that is given.
    pub fn new(most: Option<f64>) -> Self {
        let state = State {
            law: Closings::default(),
            next_start: 0.0,
            next_call: 0.0,
            late: 0.0,
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
        self.most.is_none() && self.lock().law.is_free()
    }

    /// Waits until an attempt of a start may be made: a start to the user, and one call to the
    /// service. What the attempt calls beyond that goes out at once and is charged with
    /// [`Pace::charge`]. Dropping the future gives the place in the queue up.
    pub async fn permit(&self) {
        let _first = self.queue.lock().await;
        let now = self.now();
        let due = {
            let mut state = self.lock();
            let start = self.most.map(|most| state.take_start(now, most));
            let call = state.take_calls(now, 1.0);
            start.unwrap_or(now).max(call.unwrap_or(now))
        };
        if due > now + SHORTEST_SLEEP {
            tokio::time::sleep_until(self.began + Duration::from_secs_f64(due)).await;
            self.lock().late = (self.now() - due).clamp(0.0, CATCH_UP);
        }
    }

    /// Counts calls that were made without a permit. They are a debt: later permits wait for as
    /// long as these calls would have waited. The user's bound does not count them.
    pub fn charge(&self, calls: u32) {
        let now = self.now();
        self.lock().take_calls(now, f64::from(calls));
    }

    /// The service let a call through that was made at `sent`.
    pub fn accepted(&self, sent: Instant) {
        let (now, sent) = (self.now(), self.since_began(sent));
        self.lock().law.answered(now, sent, true);
    }

    /// The service throttled a call that was made at `sent`.
    pub fn throttled(&self, sent: Instant) {
        let (now, sent) = (self.now(), self.since_began(sent));
        self.lock().law.answered(now, sent, false);
    }

    /// The pace that throttling has come to, in calls per second, if it differs by a tenth from what
    /// was last returned, and that is a second ago.
    pub fn news(&self) -> Option<f64> {
        let now = self.now();
        let mut state = self.lock();
        let rate = state.law.rate(now)?;
        let is_news = state.told.is_none_or(|(told, at)| {
            let differs = rate >= told * WORTH_TELLING || told >= rate * WORTH_TELLING;
            differs && now >= at + TELL_EVERY
        });
        if !is_news {
            return None;
        }
        state.told = Some((rate, now));
        Some(rate)
    }

    fn now(&self) -> f64 {
        self.since_began(Instant::now())
    }

    fn since_began(&self, time: Instant) -> f64 {
        (time - self.began).as_secs_f64()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds this lock")
    }
}

impl State {
    /// Takes a place in the user's schedule of so many starts per second. Returns when it begins.
    fn take_start(&mut self, now: f64, per_second: f64) -> f64 {
        let due = self.next_start.max(now - self.late);
        self.next_start = due + 1.0 / per_second;
        due
    }

    /// Takes places for calls in the law's schedule, if there is one. Returns when they begin.
    fn take_calls(&mut self, now: f64, calls: f64) -> Option<f64> {
        let rate = self.law.rate(now)?;
        let earliest = (now - self.late).max(self.law.last_cut());
        let due = self.next_call.max(earliest);
        self.next_call = due + calls / rate;
        Some(due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        pace.lock().law = Closings::at(rate);
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
        pace.throttled(pace.began);
        pace.permit().await;
        assert_eq!(pace.began.elapsed().as_secs_f64(), 0.0);
    }
}
