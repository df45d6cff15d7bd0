//! What the service lets pass, call by call in order, and without the time in which it is closed.
//!
//! Answers come in another order than their calls were made, the more so the longer a call takes.
//! Here they are held until those of older calls are in, and counted in the order of the calls: the
//! law would otherwise miss what is still in flight, and a service that closes would look like one
//! that refuses a part at random.
//!
//! A service that closes refuses everything for a while, whatever the pace. Once it is clear that
//! it has, the law is again what it was before the first of these refusals, and its clock stands
//! still until a call is let through: it neither slows down for them, nor takes what was let
//! through before and after for less than it was.

use std::collections::VecDeque;

use super::law::{Law, SLOWEST};

/// Calls that are let through between two times that it is closed, for it to have been open. With
/// fewer, refusals in a row are those of a small limit.
const OPEN_CALLS: f64 = 20.0;

/// While it is closed, so many calls are made in the time that it has been so.
const CLOSED_CALLS: f64 = 20.0;

/// How long an answer is held, in times of what a call takes: as long as few take.
const HELD: f64 = 1.5;

/// Calls in flight up to which nothing is held: there is little to be put in order, and at a slow pace
/// an answer would wait for the next call.
const FEW: f64 = 4.0;

/// What the newest answer counts in the average of what calls take.
const NEWEST: f64 = 0.1;

/// The law, behind answers in order. Times are seconds from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Closings {
    /// Answers that are held: when the call was made, and whether it was let through.
    held: VecDeque<(f64, bool)>,
    /// What a call takes, on average.
    latency: f64,
    law: Law,
    /// Seconds that the service was closed for: so much the law's clock is behind.
    closed: f64,
    row: Option<Row>,
    /// Calls that were let through since it was last closed.
    open_calls: f64,
}

/// Refusals in a row.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// When the first of them was made, and counted.
    sent: f64,
    since: f64,
    /// The law before them.
    before: Law,
    /// Whether the service is closed.
    is_closed: bool,
}

impl Closings {
    /// A law that has just come to a pace, for tests.
    #[cfg(test)]
    pub(super) fn at(rate: f64) -> Self {
        Closings {
            law: Law::at(rate),
            ..Closings::default()
        }
    }

    /// Whether there is no pace: nothing was refused so far.
    pub(super) fn is_free(&self) -> bool {
        self.law.is_free()
    }

    /// When the pace was last lowered. What was not used of it before is lost.
    pub(super) fn last_cut(&self) -> f64 {
        self.law.last_cut() + self.closed
    }

    /// The pace, in calls per second, if there is one.
    pub(super) fn rate(&mut self, now: f64) -> Option<f64> {
        self.count_until(now);
        let Some(row) = self.row else {
            return self.law.rate(now - self.closed);
        };
        let (rate, patience) = if row.is_closed {
            // It would take so long to hear of a call that is let through that slowing down any
            // earlier costs more of the time that it is open than it saves calls.
            (self.law.last_rate()?, CLOSED_CALLS * self.latency)
        } else {
            (self.law.rate(now - self.closed)?, 0.0)
        };
        let asked = CLOSED_CALLS / (1.0 - self.law.deaf());
        let seconds = (now - row.since - patience).max(0.0);
        Some(rate.min((asked / seconds).max(SLOWEST)))
    }

    /// The service answered at `now` to a call that was made at `sent`.
    pub(super) fn answered(&mut self, now: f64, sent: f64, through: bool) {
        let took = now - sent;
        let newest = if self.latency == 0.0 { 1.0 } else { NEWEST };
        self.latency += newest * (took - self.latency);
        self.law.calls_take(self.latency);
        let newer = self.held.iter().rev().take_while(|held| held.0 > sent);
        let place = self.held.len() - newer.count();
        self.held.insert(place, (sent, through));
        self.count_until(now);
    }

    /// Counts the answers that are held long enough. The first ones decide at once.
    fn count_until(&mut self, now: f64) {
        while let Some((sent, through)) = self.held.front().copied() {
            let in_flight = self.law.last_rate().unwrap_or_default() * self.latency;
            if self.law.is_settled() && in_flight > FEW && sent > now - HELD * self.latency {
                break;
            }
            self.held.pop_front();
            if through {
                self.accepted(now, sent);
            } else {
                self.refused(now, sent);
            }
        }
    }

    fn accepted(&mut self, now: f64, sent: f64) {
        if self.row.is_some_and(|row| row.is_closed) || self.law.is_refused_all() {
            self.open_calls = 0.0;
        }
        if let Some(row) = self.row.take()
            && row.is_closed
        {
            self.closed += (sent - row.sent).max(0.0);
            self.law.reopen(now - self.closed);
        }
        self.open_calls += 1.0;
        self.law.accepted(now - self.closed, sent - self.closed);
    }

    fn refused(&mut self, now: f64, sent: f64) {
        let row = self.row.get_or_insert(Row {
            sent,
            since: now,
            before: self.law,
            is_closed: false,
        });
        if row.is_closed {
            return;
        }
        self.law.refused(now - self.closed, sent - self.closed);
        let was_open = self.open_calls >= OPEN_CALLS && row.before.is_settled();
        if was_open && self.law.is_refused_all() {
            self.law = row.before;
            row.is_closed = true;
        }
    }
}
