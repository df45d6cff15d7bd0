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
