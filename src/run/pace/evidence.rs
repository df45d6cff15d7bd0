//! What answers tell about a service that refuses: how many, and which of two explanations holds.

/// Answers to calls that were made since a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) since: f64,
    /// When the last of them was made.
    last: f64,
    pub(super) accepted: f64,
    pub(super) refused: f64,
}

impl Window {
    pub(super) fn from(since: f64) -> Self {
        Window {
            since,
            last: since,
            ..Window::default()
        }
    }

    /// Counts an answer, unless the call is older. Returns whether it counted.
    pub(super) fn count(&mut self, sent: f64, through: bool) -> bool {
        if sent < self.since {
            return false;
        }
        self.last = self.last.max(sent);
        if through {
            self.accepted += 1.0;
        } else {
            self.refused += 1.0;
        }
        true
    }

    /// Seconds in which the calls were made.
    pub(super) fn seconds(&self) -> f64 {
        self.last - self.since
    }

    pub(super) fn answers(&self) -> f64 {
        self.accepted + self.refused
    }

    /// Share of the calls that was refused.
    pub(super) fn share(&self) -> f64 {
        self.refused / self.answers().max(1.0)
    }
}

/// How the pace grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Growth {
    /// Not at all: the first answers after the first refusal are waited for.
    Opening,
    /// After a quiet time, faster and faster.
    #[default]
    Patient,
    /// At once, a little.
    Creeping,
    /// Fast, as the pace is a guess.
    Ramping,
}

/// Smallest share that a service can be deaf for.
pub(super) const DEAF_FROM: f64 = 0.03;

/// How much more likely one of two explanations has to be, as a logarithm.
const ENOUGH: f64 = 5.0;

/// Longest time that a trial may be expected to take, in seconds, unless the shares are far apart.
const LONGEST: f64 = 2.0;
const FAR_APART: f64 = 0.15;

/// A trial ends without a verdict after so many times what it was expected to take.
const PATIENCE: f64 = 3.0;

/// Fewest answers that a trial is expected to take.
const FEWEST_ANSWERS: f64 = 20.0;

/// Where between the two shares what is observed counts for neither: a rival that takes a part of
/// what a slower pace leaves, or an estimate from few calls, brings it there.
const LIKE_A_BUCKET: f64 = 0.35;
const LIKE_BEFORE: f64 = 0.85;

/// A cut of the pace that is to show whether it helps: whether as many are refused as before, or as
/// few as a bucket refuses at this pace. A sequential test of the one against the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    /// The pace before, and how it grew.
    pub(super) rate: f64,
    pub(super) growth: Growth,
    /// Share that was refused before.
    pub(super) share: f64,
    /// Whether it confirms another one.
    pub(super) is_second: bool,
    /// What an answer says for the bucket: logarithms of likelihoods.
    if_accepted: f64,
    if_refused: f64,
    /// The sum of what the answers so far have said.
    evidence: f64,
    until: f64,
}

/// What a trial has shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The slower pace has helped.
    Helped,
    /// As many are refused as before.
    InVain,
    /// It took too long.
    Open,
}

impl Trial {
    /// A trial of a cut from one pace to another at `now`. `expected` is the share that a bucket
    /// refuses at the slower pace. Nothing if that is too close to `share` to be told apart in time.
    pub(super) fn new(
        (rate, growth): (f64, Growth),
        now: f64,
        slower: f64,
        share: f64,
        expected: f64,
    ) -> Option<Self> {
        let difference = share - expected;
        if difference < DEAF_FROM {
            return None;
        }
        let high = expected + LIKE_BEFORE * difference;
        let low = expected + LIKE_A_BUCKET * difference;
        let if_accepted = ((1.0 - low) / (1.0 - high)).ln();
        let if_refused = (low / high).ln();
        let drift = -share * if_refused - (1.0 - share) * if_accepted;
        let takes = (ENOUGH / drift).max(FEWEST_ANSWERS) / slower;
        (takes <= LONGEST || difference >= FAR_APART).then_some(Trial {
            rate,
            growth,
            share,
            is_second: false,
            if_accepted,
            if_refused,
            evidence: 0.0,
            until: now + PATIENCE * takes,
        })
    }

    pub(super) fn count(&mut self, through: bool) {
        self.evidence += if through {
            self.if_accepted
        } else {
            self.if_refused
        };
    }

    /// What it has shown, if it is over.
    pub(super) fn verdict(&self, now: f64) -> Option<Verdict> {
        if self.evidence >= ENOUGH {
            Some(Verdict::Helped)
        } else if self.evidence <= -ENOUGH {
            Some(Verdict::InVain)
        } else {
            (now > self.until).then_some(Verdict::Open)
        }
    }
}
