//! A part of the starts: those whose name or Workflow ID matches, and one shard of these.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::ids::workflow_ids::hash;
use super::start::Start;

/// Which starts are meant. Default: all.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    patterns: Vec<String>,
    matcher: Option<GlobSet>,
    shard: Option<Shard>,
}

impl Selection {
    /// Starts whose name or Workflow ID matches one of the patterns, if there are any, and of these
    /// one shard, if it is given. `*` and `?` match anything, `[…]` one of several characters,
    /// `{a,b}` one of several texts.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub fn new(patterns: &[String], shard: Option<Shard>) -> Result<Self, globset::Error> {
        let mut builder = GlobSetBuilder::new();
        for pattern in patterns {
            // A Workflow ID is no path: `*` matches a `/` too.
            builder.add(GlobBuilder::new(pattern).literal_separator(false).build()?);
        }
        let matcher = (!patterns.is_empty()).then(|| builder.build());
        Ok(Selection {
            patterns: patterns.to_vec(),
            matcher: matcher.transpose()?,
            shard,
        })
    }

    /// Whether every start is meant.
    pub fn is_all(&self) -> bool {
        self.matcher.is_none() && self.shard.is_none()
    }

    /// The patterns, as given.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// The shard, if one is given.
    pub fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// Whether a start is meant.
    pub(super) fn contains(&self, start: &Start) -> bool {
        let matches = self.matcher.as_ref().is_none_or(|matcher| {
            let name = start.name.as_deref();
            matcher.is_match(&start.workflow_id) || name.is_some_and(|it| matcher.is_match(it))
        });
        matches
            && self
                .shard
                .is_none_or(|shard| shard.contains(&start.workflow_id))
    }
}

/// Which patterns of a selection match nothing: one that does is mistyped, also beside others.
#[derive(Debug)]
pub(super) struct Unmatched<'s> {
    selection: &'s Selection,
    /// Positions of the patterns that have matched nothing yet.
    left: Vec<usize>,
    /// Reused from one start to the next.
    matched: Vec<usize>,
}

impl<'s> Unmatched<'s> {
    pub(super) fn new(selection: &'s Selection) -> Self {
        Unmatched {
            selection,
            left: (0..selection.patterns.len()).collect(),
            matched: Vec::new(),
        }
    }

    /// Looks at a start, of whatever shard.
    pub(super) fn see(&mut self, start: &Start) {
        let Some(matcher) = &self.selection.matcher else {
            return;
        };
        let texts = [Some(&*start.workflow_id), start.name.as_deref()];
        for text in texts.into_iter().flatten() {
            if self.left.is_empty() {
                return;
            }
            matcher.matches_into(text, &mut self.matched);
            self.left.retain(|at| !self.matched.contains(at));
        }
    }

    /// The patterns that no start matched.
    pub(super) fn patterns(self) -> Vec<String> {
        let pattern = |at: usize| self.selection.patterns[at].clone();
        self.left.into_iter().map(pattern).collect()
    }
}

/// One of several parts of a batch that make up all of it: `1/3`, `2/3`, `3/3`. Which one a start
/// belongs to depends on its Workflow ID alone: the XXH3 hash of it, 64 bits, modulo the number of
/// shards, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: NonZeroU32,
    of: NonZeroU32,
}

impl Shard {
    /// The shard `number` of `of`; `None` if there is no such one.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        let (number, of) = (NonZeroU32::new(number)?, NonZeroU32::new(of)?);
        (number <= of).then_some(Shard { number, of })
    }

    /// Whether a Workflow ID belongs to it.
    pub fn contains(self, workflow_id: &str) -> bool {
        hash(workflow_id) % u64::from(self.of.get()) == u64::from(self.number.get() - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

/// A text that names no shard.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("write I/N, with I from 1 to N")]
pub struct ShardError;

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let (number, of) = text.split_once('/').ok_or(ShardError)?;
        let number = number.parse().map_err(|_| ShardError)?;
        let of = of.parse().map_err(|_| ShardError)?;
        Shard::new(number, of).ok_or(ShardError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_no_shard_is_refused() {
        for text in [
            "",
            "1",
            "0/3",
            "4/3",
            "1/0",
            "-1/3",
            "1/3/3",
            "a/b",
            "1/4294967296",
        ] {
            assert_eq!(text.parse::<Shard>(), Err(ShardError), "{text}");
        }
        let shard: Shard = "2/3".parse().expect("this is a shard");
        assert_eq!(shard.to_string(), "2/3");
    }

    proptest! {
        #[test]
        fn every_workflow_id_is_in_exactly_one_shard(id in ".*", of in 1u32..100) {
            let shards = (1..=of).filter_map(|number| Shard::new(number, of));
            prop_assert_eq!(shards.filter(|shard| shard.contains(&id)).count(), 1);
        }
    }
}
