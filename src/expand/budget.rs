//! How much work a command may take to check its manifests.
//!
//! A few hundred bytes can stand for a hundred million starts, and each of them for an expression
//! that is evaluated for milliseconds. Work is counted in steps and not in time, so that the same
//! manifest has the same answer on every machine and on every day.

use std::sync::atomic::{AtomicI64, Ordering};

/// Steps that every command has. A step is what takes some 10 ns: comparing two short texts, or
/// hashing a few bytes.
pub(super) const FREE_STEPS: i64 = 300_000_000;

/// Steps that come with each byte of the manifests and of the files with rows.
pub(super) const STEPS_PER_BYTE: i64 = 25;

/// Names that are compared with a mistyped one, letter by letter, before help is given without.
const COMPARISONS: i64 = 100_000;

/// Work that is left.
#[derive(Debug)]
pub(crate) struct Budget {
    left: AtomicI64,
    comparisons: AtomicI64,
}

impl Budget {
    /// The budget of a command without any input.
    pub(super) fn new() -> Self {
        Budget {
            left: AtomicI64::new(FREE_STEPS),
            comparisons: AtomicI64::new(COMPARISONS),
        }
    }

    /// Adds what comes with so many bytes of input.
    pub(super) fn grant(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let more = bytes.saturating_mul(STEPS_PER_BYTE);
        let left = self.left.load(Ordering::Relaxed);
        self.left
            .store(left.saturating_add(more), Ordering::Relaxed);
    }

    /// Steps that are left.
    pub(super) fn left(&self) -> u64 {
        u64::try_from(self.left.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Takes all that is left.
    pub(super) fn exhaust(&self) {
        self.left.store(-1, Ordering::Relaxed);
    }

    /// Takes steps away, and says whether there were as many.
    ///
    /// Not one atomic operation: only one thread expands at a time, and starts are many.
    pub(crate) fn spend(&self, steps: u64) -> bool {
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        let left = self.left.load(Ordering::Relaxed).saturating_sub(steps);
        self.left.store(left, Ordering::Relaxed);
        left >= 0
    }

    /// Whether as many names may still be compared with a mistyped one. Only the first problems
    /// are shown, and each comparison takes as long as a start.
    pub(super) fn may_compare(&self, names: usize) -> bool {
        let names = i64::try_from(names).unwrap_or(i64::MAX);
        let left = self
            .comparisons
            .load(Ordering::Relaxed)
            .saturating_sub(names);
        self.comparisons.store(left, Ordering::Relaxed);
        left >= 0
    }

    /// Whether more was spent than there was.
    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) < 0
    }

    /// Ends the counting: what has been checked within the budget may be made again.
    pub(super) fn lift(&self) {
        self.left.store(i64::MAX, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_there_is_cannot_be_spent() {
        let budget = Budget::new();
        budget.grant(2);
        assert!(budget.spend((FREE_STEPS + 2 * STEPS_PER_BYTE) as u64));
        assert!(!budget.is_spent());
        assert!(!budget.spend(1));
        assert!(budget.is_spent());
        assert!(!budget.spend(u64::MAX));
        budget.lift();
        assert!(budget.spend(u64::MAX / 4) && !budget.is_spent());
        let large = Budget::new();
        large.grant(u64::MAX);
        assert!(large.spend(FREE_STEPS as u64 * 1_000));
    }
}
