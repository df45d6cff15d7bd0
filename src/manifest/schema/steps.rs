//! Counts what the JSON Schema validator does, and ends it when it does too much.
//!
//! The validator cannot be told to stop: a schema of two kilobytes can make it look at the same
//! value more often than there are atoms. It reads every value through [`super::instance`], and a
//! keyword of ours stands wherever a schema branches, so that both can count. What ends it is an
//! unwinding of the stack that is no panic: nothing is printed, and no hook runs.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

thread_local! {
    /// Steps that are left.
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    /// What a look at the name of a property costs: steps, and steps for 16 bytes of it.
    static NAME: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
}

/// What unwinds the stack when no step is left.
struct Spent;

/// Counts steps. Does not return if there are not as many left.
pub(crate) fn step(steps: u64) {
    match LEFT.get().checked_sub(steps) {
        Some(left) => LEFT.set(left),
        None => spent(),
    }
}

/// Counts a look at the name of a property.
pub(in crate::manifest) fn step_to_name(name: &str) {
    let (each, for_16_bytes) = NAME.get();
    step(1 + each + for_16_bytes * (name.len() as u64 / 16 + 1));
}

#[cold]
fn spent() -> ! {
    // What is dropped on the way may count too.
    LEFT.set(u64::MAX);
    resume_unwind(Box::new(Spent))
}

/// What one look at the name of a property costs: steps, and steps for 16 bytes of it.
pub(crate) type NameCost = (u64, u64);

/// Does some work within a number of steps. Returns what it came to, or `None` if it took more,
/// and the steps that it took.
pub(crate) fn within<T>(steps: u64, name: NameCost, work: impl FnOnce() -> T) -> (Option<T>, u64) {
    let before = (LEFT.replace(steps), NAME.replace(name));
    let outcome = catch_unwind(AssertUnwindSafe(work));
    let left = LEFT.replace(before.0);
    NAME.set(before.1);
    match outcome {
        Ok(value) => (Some(value), steps - left.min(steps)),
        Err(reason) if reason.is::<Spent>() => (None, steps),
        Err(panic) => resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_many_steps_ends() {
        let work = |times: u64| move || (0..times).for_each(|_| step(2));
        assert_eq!(within(10, (0, 0), work(5)), (Some(()), 10));
        assert_eq!(within(10, (0, 0), work(u64::MAX)), (None, 10));
        // The one within another one has its own.
        let (inner, steps) = within(100, (0, 0), || within(10, (0, 0), work(6)).0);
        assert_eq!((inner, steps), (Some(None), 0));
        let name = || step_to_name(&"x".repeat(32));
        assert_eq!(within(100, (5, 7), name), (Some(()), 1 + 5 + 7 * 3));
    }
}
