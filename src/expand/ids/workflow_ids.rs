//! Which Workflow IDs occur twice, among any number of starts, in little memory.
//!
//! A hash and a number for each start, 16 bytes, are sorted on disk: the same hashes come to stand
//! beside each other. Up to a few MiB stay in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Take, Write};
use std::sync::Arc;

use itertools::Itertools;
use itertools::structs::KMergeBy;

use crate::disk::PositionalReader;

/// Pairs that are kept in memory: 2 MiB.
const IN_MEMORY: usize = 128 * 1024;

/// Bytes of a run that are read in one go.
const READ_AHEAD: usize = 8 * 1024;

/// A key and a value.
pub(in crate::expand) type Pair = (u64, u64);

/// Sorts pairs of numbers.
#[derive(Debug, Default)]
pub(in crate::expand) struct Sorter {
    pairs: Vec<Pair>,
    /// Sorted runs on disk, and where each one begins and ends, in bytes.
    file: Option<BufWriter<File>>,
    runs: Vec<(u64, u64)>,
}

impl Sorter {
    pub(in crate::expand) fn push(&mut self, pair: Pair) -> io::Result<()> {
        self.pairs.push(pair);
        if self.pairs.len() >= IN_MEMORY {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.pairs.sort_unstable();
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(BufWriter::new(tempfile::tempfile()?)),
        };
        for (key, value) in &self.pairs {
            file.write_all(&key.to_le_bytes())?;
            file.write_all(&value.to_le_bytes())?;
        }
        let begin = self.runs.last().map_or(0, |(_, end)| *end);
        self.runs
            .push((begin, begin + 16 * self.pairs.len() as u64));
        self.pairs.clear();
        Ok(())
    }

    /// All pairs, sorted, to be read as often as needed.
    pub(in crate::expand) fn sort(mut self) -> io::Result<Sorted> {
        self.pairs.sort_unstable();
        // What is kept for long takes no more room than it needs.
        let pairs: Arc<[Pair]> = self.pairs.into();
        let file = match self.file {
            Some(file) => Some(file.into_inner().map_err(io::IntoInnerError::into_error)?),
            None => None,
        };
        Ok(Sorted {
            pairs,
            file: file.map(Arc::new),
            runs: self.runs,
        })
    }
}

/// Sorted pairs, in memory and on disk.
#[derive(Clone, Debug, Default)]
pub(in crate::expand) struct Sorted {
    pairs: Arc<[Pair]>,
    file: Option<Arc<File>>,
    runs: Vec<(u64, u64)>,
}

impl Sorted {
    pub(in crate::expand) fn is_empty(&self) -> bool {
        self.pairs.is_empty() && self.runs.is_empty()
    }

    /// Reads all pairs in order.
    pub(in crate::expand) fn iter(&self) -> Merge {
        let mut runs: Vec<Run> = vec![Run::Memory(Arc::clone(&self.pairs), 0)];
        if let Some(file) = &self.file {
            runs.extend(self.runs.iter().map(|(begin, end)| {
                let part = PositionalReader::new(file, *begin).take(end - begin);
                Run::Disk(BufReader::with_capacity(READ_AHEAD, part))
            }));
        }
        runs.into_iter()
            .kmerge_by(|a, b| a.as_ref().ok() < b.as_ref().ok())
    }
}

/// The pairs of several sorted runs, in order; what cannot be read comes first.
pub(in crate::expand) type Merge = KMergeBy<Run, fn(&io::Result<Pair>, &io::Result<Pair>) -> bool>;

/// Pairs that are sorted, in memory or on disk.
pub(in crate::expand) enum Run {
    /// In memory, from a position on.
    Memory(Arc<[Pair]>, usize),
    /// On disk.
    Disk(BufReader<Take<PositionalReader>>),
}

impl Iterator for Run {
    type Item = io::Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = match self {
            Run::Memory(pairs, at) => {
                *at += 1;
                return pairs.get(*at - 1).copied().map(Ok);
            }
            Run::Disk(reader) => reader,
        };
        let mut bytes = [0; 16];
        match reader.read_exact(&mut bytes) {
            Ok(()) => {
                let number = |at: usize| {
                    let bytes = bytes[at..at + 8].try_into().expect("these are 8 bytes");
                    u64::from_le_bytes(bytes)
                };
                Some(Ok((number(0), number(8))))
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A hash of a Workflow ID that is the same on every machine and in every version.
pub(in crate::expand) fn hash(workflow_id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(workflow_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_sorted_from_memory_and_disk() {
        for count in [0, 1, 10, IN_MEMORY, 3 * IN_MEMORY + 7] {
            let mut sorter = Sorter::default();
            let mut all = Vec::new();
            for number in 0..count as u64 {
                let pair = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 1000, number);
                all.push(pair);
                sorter.push(pair).expect("a temporary file can be written");
            }
            all.sort_unstable();
            let sorted = sorter.sort().expect("a temporary file can be written");
            assert_eq!(sorted.is_empty(), count == 0);
            for _ in 0..2 {
                let read: io::Result<Vec<Pair>> = sorted.iter().collect();
                assert!(
                    read.expect("a temporary file can be read") == all,
                    "{count}"
                );
            }
        }
    }

    #[test]
    fn the_hash_is_that_of_the_xxh3_specification() {
        // Shards of one batch may be made by different versions of this program.
        assert_eq!(hash(""), 0x2d06_8005_38d3_94c2);
    }
}
