//! The control law: what pace the service's answers call for.
//!
//! The service refuses by token buckets. Between two refusals a bucket is empty at both ends, so
//! what it let through in between, over the time in between, is its rate: the pace is set to that
//! estimate. Without refusals it grows, slowly at first, so that a little under the limit it stays
//! for long, then faster and faster, so that a limit that was raised is soon found.
//!
//! Not all that refuses is a bucket: one of several frontends may refuse everything, or a part of
//! all calls is refused at random. A slower pace does not help then, and only starves the apply.
//! Therefore a cut is a trial. If about the same share is refused after it as before, a deeper cut
//! confirms that, and if that is in vain too, the service is deaf to the pace for that share: the
//! pace is what it was, and only what is refused beyond that share counts. From time to time a
//! short cut tries whether it still is deaf.

mod deaf;

use super::evidence::{DEAF_FROM, Growth, Trial, Verdict, Window};

/// Time without refusals after which the pace grows, in seconds.
const QUIET: f64 = 0.5;

/// Growth per second at first, and at most.
const FIRST_GROWTH: f64 = 0.05;
const MOST_GROWTH: f64 = 2.0;

/// Time in which growth doubles, in seconds.
const GROWTH_DOUBLES_IN: f64 = 0.7;

/// While the pace is a guess it doubles in so many calls that were let through, and not in less
/// than so many seconds, or times of what a call takes: how fast is too fast is told so late.
const RAMP_CALLS: f64 = 4.0;
const RAMP_SECONDS: f64 = 0.05;
const RAMP_LATENCIES: f64 = 2.0;

/// Growth per second right after an estimate. The bucket is empty then, so that a pace above its
/// rate is told at once. A small bucket may have run over before, and the estimate be too low.
const CREEP: f64 = 0.5;

/// Slowest pace that creeps: below, a call more or less says too little.
const CREEP_FROM: f64 = 200.0;

/// How much faster the pace may be than what is called in fact, and still grow.
const UNUSED: f64 = 4.0;

/// An estimate is made from so many seconds and calls, or from so many calls that were let through.
const ESTIMATE_SECONDS: f64 = 0.25;
const ESTIMATE_CALLS: f64 = 10.0;
const ESTIMATE_ACCEPTED: f64 = 20.0;

/// Share of an estimate that the pace is set to, and least that is left of the pace.
const BELOW_ESTIMATE: f64 = 0.99;
const DEEPEST_CUT: f64 = 0.3;

/// What is left of the pace when refusals go on before there is an estimate.
const EASE: f64 = 0.85;

/// Slowest pace, in calls per second.
pub(super) const SLOWEST: f64 = 0.5;

/// Answers that the first refusals are judged by, twice as many while all are refused, and the pace
/// at which they are asked for, in calls per second.
const FIRST_ANSWERS: f64 = 20.0;
const FIRST_RATE: f64 = 200.0;

/// Seconds' worth that a full bucket is taken to have held at first.
const FIRST_BURST: f64 = 2.0;

/// Slowest first pace if so little was let through that nothing can be said.
const FIRST_SLOWEST: f64 = 50.0;

/// Refusals in a row after which no cut is made any more, and after which the service is closed.
const CUT_BEFORE: f64 = 3.0;
const CLOSED_AFTER: f64 = 10.0;

/// Answers and seconds that a share is told from: the least, and what is enough.
const SHARE_CALLS: f64 = 20.0;
const SHARE_SECONDS: f64 = 0.1;
const ENOUGH_CALLS: f64 = 200.0;
const ENOUGH_SECONDS: f64 = 1.0;

/// The control law. Times are seconds from any fixed moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Law {
    /// Calls per second; nothing before the first refusal.
    rate: Option<f64>,
    /// What a call takes, in seconds.
    latency: f64,
    /// All answers.
    all: Option<Window>,
    /// Answers since the refusal that the current estimate begins at.
    anchor: Window,
    /// Answers to calls that were made at the current pace.
    window: Window,
    /// Answers per second lately.
    speed: f64,
    growth: Growth,
    grown_until: f64,
    last_refusal: f64,
    last_cut: f64,
    /// What the pace was last cut to.
    estimate: f64,
    /// Refusals since a call was last let through.
    in_a_row: f64,
    /// Share of the calls that is refused whatever the pace, and when that is tried again.
    deaf: f64,
    deaf_until: f64,
    trial: Option<Trial>,
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

    /// When the pace was last lowered. What was not used of it before is lost.
    pub(super) fn last_cut(&self) -> f64 {
        self.last_cut
    }

    /// The pace, in calls per second, if there is one.
    pub(super) fn rate(&mut self, now: f64) -> Option<f64> {
        let mut rate = self.rate?;
        let elapsed = (now - self.grown_until).min(1.0);
        if elapsed > 0.0 && self.growth != Growth::Ramping {
            self.grown_until = now;
            if self.trial.is_none() && self.is_used(rate) {
                rate *= 1.0 + self.growth_per_second(now) * elapsed;
                self.rate = Some(rate);
            }
        }
        Some(rate)
    }

    /// The pace as it last was, in calls per second, if there was one.
    pub(super) fn last_rate(&self) -> Option<f64> {
        self.rate
    }

    /// Share of the calls that is refused whatever the pace.
    pub(super) fn deaf(&self) -> f64 {
        self.deaf
    }

    /// Whether there is a pace that is more than what the first answers are waited for with.
    pub(super) fn is_settled(&self) -> bool {
        self.rate.is_some() && self.growth != Growth::Opening
    }

    /// Whether so many were refused in a row that the pace has nothing to do with it.
    pub(super) fn is_refused_all(&self) -> bool {
        self.in_a_row >= CLOSED_AFTER / (1.0 - self.deaf)
    }

    /// What a call takes, in seconds.
    pub(super) fn calls_take(&mut self, latency: f64) {
        self.latency = latency;
    }

    /// The service was closed, and is open again. Its bucket may have filled meanwhile.
    pub(super) fn reopen(&mut self, now: f64) {
        if self.trial.is_none() {
            self.growth = Growth::Ramping;
            self.grown_until = now;
        }
    }

    fn growth_per_second(&self, now: f64) -> f64 {
        let quiet = now - self.last_refusal - QUIET;
        match self.growth {
            Growth::Creeping => CREEP,
            Growth::Patient if quiet > 0.0 => {
                (FIRST_GROWTH * 2f64.powf(quiet / GROWTH_DOUBLES_IN)).min(MOST_GROWTH)
            }
            Growth::Patient | Growth::Opening | Growth::Ramping => 0.0,
        }
    }

    /// Whether about as many calls are made as the pace allows. Otherwise it does not grow: it
    /// would take long to come down again.
    fn is_used(&self, rate: f64) -> bool {
        rate < UNUSED * self.speed.max(FIRST_SLOWEST)
    }

    /// A call was let through that was made at `sent`.
    pub(super) fn accepted(&mut self, now: f64, sent: f64) {
        self.all.get_or_insert(Window::from(sent)).count(sent, true);
        if self.rate(now).is_none() {
            return;
        }
        self.in_a_row = 0.0;
        self.count(sent, true);
        if self.growth == Growth::Ramping
            && self.trial.is_none()
            && let Some(rate) = self.rate
        {
            let seconds = RAMP_SECONDS.max(RAMP_LATENCIES * self.latency);
            let doublings = (1.0 / RAMP_CALLS).min((now - self.grown_until) / seconds);
            if self.is_used(rate) {
                self.rate = Some(rate * 2f64.powf(doublings));
            }
            self.grown_until = now;
        }
        self.judge(now);
    }

    /// A call was refused that was made at `sent`.
    pub(super) fn refused(&mut self, now: f64, sent: f64) {
        self.all
            .get_or_insert(Window::from(sent))
            .count(sent, false);
        if self.rate(now).is_none() {
            self.rate = Some(FIRST_RATE.max(self.first_guess(now)));
            self.growth = Growth::Opening;
            (self.anchor, self.window) = (Window::from(sent), Window::from(sent));
            (self.last_refusal, self.last_cut) = (now, now);
            return;
        }
        self.in_a_row += 1.0;
        self.count(sent, false);
        if self.deaf == 0.0 {
            self.last_refusal = now;
        }
        self.judge(now);
        let is_judged = self.trial.is_some() || self.deaf > 0.0 || self.growth == Growth::Opening;
        // What was in flight when the pace was last lowered tells nothing new.
        if !is_judged && self.in_a_row <= CUT_BEFORE && sent >= self.last_cut {
            self.heed(now, sent);
        }
    }

    /// Lowers the pace for a refusal, if it is time.
    fn heed(&mut self, now: f64, sent: f64) {
        let Some(rate) = self.rate else { return };
        let since = self.anchor.seconds();
        let many = self.anchor.accepted >= ESTIMATE_ACCEPTED && since >= RAMP_SECONDS;
        if many || since >= ESTIMATE_SECONDS.max(ESTIMATE_CALLS / rate) {
            let anchor = self.anchor;
            self.cut(now, anchor.accepted / since, anchor.share());
            self.anchor = Window::from(sent);
        } else if self.growth == Growth::Creeping {
            self.rate = Some(rate.min(self.estimate));
            self.growth = Growth::Patient;
        } else if now - self.last_cut > RAMP_SECONDS.max(2.0 / rate) {
            self.rate = Some((rate * EASE).max(SLOWEST));
            self.last_cut = now;
            self.growth = Growth::Patient;
        }
    }

    fn count(&mut self, sent: f64, through: bool) {
        self.anchor.count(sent, through);
        if self.window.count(sent, through)
            && let Some(trial) = &mut self.trial
        {
            trial.count(through);
        }
    }

    /// The bucket was full when we came.
    fn first_guess(&self, now: f64) -> f64 {
        let all = self.all.unwrap_or_default();
        let slowest = if all.accepted < SHARE_CALLS {
            FIRST_SLOWEST
        } else {
            SLOWEST
        };
        (all.accepted / (now - all.since + FIRST_BURST)).max(slowest)
    }

    /// Sets the first pace.
    fn open(&mut self, now: f64) {
        let all = self.all.unwrap_or_default();
        self.speed = (all.answers() / (now - all.since).max(0.001)).min(1e6);
        let window = self.window;
        let through = window.accepted / window.seconds().max(0.001);
        let slower = through.max(self.first_guess(now)).min(self.speed);
        // A dry bucket and a closed service both let nothing through: no trial could tell them.
        self.trial = Trial::new(
            (self.speed, Growth::Ramping),
            now,
            slower,
            window.share(),
            0.0,
        )
        .filter(|_| window.accepted > 0.0);
        self.growth = Growth::Ramping;
        self.slow_down(now, slower);
    }

    /// Lowers the pace to what is let through.
    fn cut(&mut self, now: f64, through: f64, share: f64) {
        let Some(rate) = self.rate else { return };
        let estimate = through * BELOW_ESTIMATE / (1.0 - self.deaf);
        let slower = rate.min(estimate).max(rate * DEEPEST_CUT).max(SLOWEST);
        let expected = self.deaf.max(1.0 - through / slower);
        self.trial = Trial::new((rate, self.growth), now, slower, share, expected);
        let creeps = self.growth != Growth::Creeping && self.deaf == 0.0 && slower >= CREEP_FROM;
        self.growth = if creeps {
            Growth::Creeping
        } else {
            Growth::Patient
        };
        self.slow_down(now, slower);
    }

    fn slow_down(&mut self, now: f64, slower: f64) {
        self.rate = Some(slower);
        self.estimate = slower;
        (self.anchor, self.window) = (Window::from(now), Window::from(now));
        (self.last_refusal, self.last_cut, self.grown_until) = (now, now, now);
    }

    /// Looks at the answers to the calls that were made at this pace.
    fn judge(&mut self, now: f64) {
        let (window, since) = (self.window, self.window.seconds());
        if self.growth == Growth::Opening {
            let nothing = window.accepted == 0.0 && since < SHARE_SECONDS;
            let enough = FIRST_ANSWERS * if nothing { 2.0 } else { 1.0 };
            if window.answers() >= enough {
                self.open(now);
            }
        } else if let Some(trial) = self.trial {
            match trial.verdict(now) {
                Some(Verdict::InVain) => self.undo(now, trial),
                Some(Verdict::Open) => self.trial = None,
                Some(Verdict::Helped) => {
                    self.hear(now, window.share());
                    if trial.is_second {
                        self.growth = if self.deaf == 0.0 {
                            Growth::Creeping
                        } else {
                            Growth::Patient
                        };
                        self.last_refusal = now;
                    }
                }
                None => {}
            }
        } else if !self.is_refused_all()
            && window.answers() >= SHARE_CALLS
            && since >= SHARE_SECONDS
        {
            let is_enough = window.answers() >= ENOUGH_CALLS || since >= ENOUGH_SECONDS;
            if self.deaf == 0.0 || is_enough {
                self.speed = (window.answers() / since).max(0.8 * self.speed);
                self.window = Window::from(now);
                if self.deaf > 0.0 {
                    self.compare(now, window.accepted / since, window);
                }
            }
        }
    }
}
