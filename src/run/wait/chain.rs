//! The runs of a Workflow, followed one by one.

use std::time::Duration;

/// Runs that are followed without a pause in between; many chains are shorter.
const AT_ONCE: u32 = 64;

/// Pause before each further one.
const PAUSE: Duration = Duration::from_millis(20);

/// Most runs that are followed.
const MAX_RUNS: u32 = 100_000;

/// A chain of runs, at one of them. Needs the room of two run IDs, however long it is.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    run_id: String,
    followed: u32,
    /// A run that was seen before, and when the next one is kept. Whatever the length of a circle,
    /// it comes back to one of the runs that are kept: Brent's way to find it.
    mark: Option<String>,
    mark_at: u32,
}

/// Why a chain is not followed any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endless {
    /// It comes back to a run that it has left.
    Circle,
    /// It has more runs than are followed.
    TooLong,
}

impl Chain {
    /// A chain at the run that is known.
    pub(super) fn at(run_id: String) -> Self {
        Chain {
            run_id,
            followed: 0,
            mark: None,
            mark_at: 1,
        }
    }

    /// The run it is at.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Gives the run it is at away.
    pub(super) fn into_run_id(self) -> String {
        self.run_id
    }

    /// Goes to the next run. Returns how long to wait before asking about it.
    pub(super) fn follow(&mut self, next: String) -> Result<Duration, Endless> {
        if next == self.run_id || self.mark.as_deref() == Some(&next) {
            return Err(Endless::Circle);
        }
        if self.followed == MAX_RUNS {
            return Err(Endless::TooLong);
        }
        let last = std::mem::replace(&mut self.run_id, next);
        self.followed += 1;
        if self.followed == self.mark_at {
            self.mark = Some(last);
            self.mark_at *= 2;
        }
        Ok(if self.followed <= AT_ONCE {
            Duration::ZERO
        } else {
            PAUSE
        })
    }
}

impl Endless {
    /// As people read it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Endless::Circle => "the service says that its runs continue in a circle",
            Endless::TooLong => "it has more than 100000 runs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_circle_is_found() {
        for (before, length) in [(0, 1), (0, 2), (1, 2), (3, 5), (100, 7), (5, 300)] {
            let mut chain = Chain::at("0".to_owned());
            let mut at = 0;
            let found = (0..).find(|_| {
                at = if at + 1 == before + length {
                    before
                } else {
                    at + 1
                };
                chain.follow(at.to_string()) == Err(Endless::Circle)
            });
            let found = found.expect("it ends");
            assert!(found <= 4 * (before + length), "{before} {length}: {found}");
        }
    }

    #[test]
    fn a_long_chain_is_paced_and_bounded() {
        let mut chain = Chain::at("first".to_owned());
        let pauses: Vec<_> = (0..=MAX_RUNS)
            .map(|run| chain.follow(run.to_string()))
            .collect();
        assert_eq!(pauses[0], Ok(Duration::ZERO));
        assert_eq!(pauses[AT_ONCE as usize], Ok(PAUSE));
        assert_eq!(pauses[MAX_RUNS as usize], Err(Endless::TooLong));
    }
}
