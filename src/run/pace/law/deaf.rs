//! What the law makes of a service that is deaf to the pace: of trials, and of what is refused anyway.

use super::{DEAF_FROM, Growth, Law, SLOWEST, Trial, Window};

/// Largest share that a service can be deaf for.
const DEAF_UP_TO: f64 = 0.95;

/// How far apart two shares are that are not the same: standard deviations, and a least distance.
const DEVIATIONS: f64 = 4.0;
const LEAST_DISTANCE: f64 = 0.05;

/// What a second trial takes off the pace, in times of the share that is refused, and what it leaves
/// at least. A rival that takes what a first cut leaves makes a bucket look deaf.
const SECOND_TIMES: f64 = 5.0;
const SECOND_CUT: f64 = 0.5;

/// Least that is left of what is called in fact when a deaf service is tried again.
const RETRIAL_CUT: f64 = 0.02;

/// Seconds until a deaf service is tried again, and at least so many times what the trial took.
const DEAF_FOR: f64 = 2.0;
const DEAF_FOR_TIMES: f64 = 20.0;

impl Law {
    /// A cut was in vain: a second one confirms it, or the service is deaf.
    pub(super) fn undo(&mut self, now: f64, trial: Trial) {
        let share = self.window.share();
        if !trial.is_second {
            let least = share.min(trial.share);
            let left = (1.0 - SECOND_TIMES * least).max(SECOND_CUT);
            let slower = (self.rate.unwrap_or(trial.rate) * left).max(SLOWEST);
            let before = (trial.rate, trial.growth);
            let second = Trial::new(before, now, slower, least, self.deaf);
            if let Some(mut second) = second {
                self.slow_down(now, slower);
                second.is_second = true;
                self.trial = Some(second);
                return;
            }
        }
        self.growth = if self.deaf == 0.0 {
            Growth::Ramping
        } else {
            trial.growth
        };
        self.deaf = ((trial.share + share) / 2.0).min(DEAF_UP_TO);
        let took = now - self.window.since;
        self.deaf_until = now + DEAF_FOR.max(DEAF_FOR_TIMES * took);
        self.trial = None;
        self.slow_down(now, trial.rate);
    }

    /// The service is not deaf for more than a share.
    pub(super) fn hear(&mut self, now: f64, share: f64) {
        if self.deaf > 0.0 {
            self.anchor = Window::from(now);
        }
        self.deaf = if share < DEAF_FROM {
            0.0
        } else {
            self.deaf.min(share)
        };
        self.deaf_until = now;
        self.trial = None;
        self.window = Window::from(now);
    }

    /// Compares what a deaf service refuses with what it refuses anyway.
    pub(super) fn compare(&mut self, now: f64, through: f64, window: Window) {
        let (share, spread) = (window.share(), self.deaf * (1.0 - self.deaf));
        let noise = (DEVIATIONS * (spread / window.answers()).sqrt()).max(LEAST_DISTANCE);
        if share < self.deaf - noise {
            self.hear(now, share);
            return;
        }
        if share > self.deaf + noise {
            let before = *self;
            self.cut(now, through, share);
            if self.trial.is_some() {
                return;
            }
            // It cannot be told whether the cut helps, but whether a deeper one does.
            *self = before;
            self.deaf = share.min(DEAF_UP_TO);
            self.deaf_until = now;
        }
        self.deaf += 0.2 * (share - self.deaf);
        if now >= self.deaf_until {
            self.try_again(now, through);
        }
    }

    /// A short cut that tries whether the service still is deaf.
    fn try_again(&mut self, now: f64, through: f64) {
        let Some(rate) = self.rate else { return };
        let slower = through
            .min(self.speed * SECOND_CUT)
            .max(self.speed * RETRIAL_CUT)
            .max(SLOWEST);
        let expected = (1.0 - through / slower).max(0.0);
        self.deaf_until = now + DEAF_FOR;
        let trial = Trial::new((rate, self.growth), now, slower, self.deaf, expected);
        if let Some(mut trial) = trial {
            let last_refusal = self.last_refusal;
            self.slow_down(now, slower);
            self.last_refusal = last_refusal;
            trial.is_second = true;
            self.trial = Some(trial);
        }
    }
}
