//! The table that says where each start's lines are in a journal.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use crate::disk::PositionalReader;

/// Bytes of a start's entry: the offsets of its outcome and of its Workflow's end.
const ENTRY: usize = 16;

/// Entries that are kept in memory: half of them before the start that the window was moved to, as
/// starts finish in any order, and half of them after it.
const WINDOW: u64 = 4096;

/// Offsets in a row that lie before the window, and are written to the file one by one, until the
/// window moves back. A start that took long is not followed; a journal that is gone on with is.
const PATIENCE: u32 = 16;

/// Which line of a start.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    /// Its outcome.
    Outcome,
    /// The end of its Workflow.
    End,
}

/// Offsets of lines, by start. Kept in a file without a name, but for a window that moves with the
/// starts: a write for each of them would cost more than the line that it is about.
///
/// Offsets are one too high, so that zero means that there is no line.
#[derive(Debug)]
pub(super) struct LineTable {
    file: Arc<File>,
    window: Vec<u8>,
    /// The start that the window begins with.
    first: u64,
    /// Offsets in a row that lay before the window.
    before: u32,
    starts: u64,
    /// For each so many starts as the window holds, whether one of them has a line: a journal may
    /// be about very many starts and have few lines.
    noted: Vec<bool>,
}

/// Where a start's lines begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) outcome: Option<u64>,
    pub(super) end: Option<u64>,
}

impl LineTable {
    /// An empty table, gone when it is dropped.
    pub(super) fn new() -> io::Result<Self> {
        Ok(LineTable {
            file: Arc::new(tempfile::tempfile()?),
            window: vec![0; WINDOW as usize * ENTRY],
            first: 0,
            before: 0,
            starts: 0,
            noted: Vec::new(),
        })
    }

    /// Notes that a line of the start `index` begins at `offset`.
    pub(super) fn note(&mut self, index: u64, column: Column, offset: u64) -> io::Result<()> {
        self.starts = self.starts.max(index + 1);
        let stretch = (index / WINDOW) as usize;
        if self.noted.len() <= stretch {
            self.noted.resize(stretch + 1, false);
        }
        self.noted[stretch] = true;
        if index < self.first {
            self.before += 1;
        } else {
            self.before = 0;
        }
        if index >= self.first + WINDOW || self.before > PATIENCE {
            self.move_to(index)?;
        }
        let bytes = (offset + 1).to_le_bytes();
        let column = match column {
            Column::Outcome => 0,
            Column::End => 8,
        };
        let Some(entry) = index.checked_sub(self.first) else {
            let place = index * ENTRY as u64 + column as u64;
            return self.file.write_all_at(&bytes, place);
        };
        let place = entry as usize * ENTRY + column;
        self.window[place..place + 8].copy_from_slice(&bytes);
        Ok(())
    }

    fn move_to(&mut self, index: u64) -> io::Result<()> {
        self.flush()?;
        self.first = index.saturating_sub(WINDOW / 2);
        self.before = 0;
        let read = read_up_to(&self.file, &mut self.window, self.first * ENTRY as u64)?;
        self.window[read..].fill(0);
        Ok(())
    }

    /// Writes the window to the file.
    fn flush(&self) -> io::Result<()> {
        let entries = self.starts.saturating_sub(self.first).min(WINDOW);
        let used = &self.window[..entries as usize * ENTRY];
        self.file.write_all_at(used, self.first * ENTRY as u64)
    }

    /// Reads the entries of the starts, in order; not all of those that have none.
    pub(super) fn entries(
        &self,
    ) -> io::Result<impl Iterator<Item = io::Result<(u64, Entry)>> + use<>> {
        self.flush()?;
        let mut file =
            BufReader::with_capacity(WINDOW as usize, PositionalReader::new(&self.file, 0));
        let mut position = 0;
        let mut offset = move |at: u64| -> io::Result<Option<u64>> {
            file.seek_relative(at as i64 - position as i64)?;
            let mut bytes = [0; 8];
            file.read_exact(&mut bytes)?;
            position = at + 8;
            Ok(u64::from_le_bytes(bytes).checked_sub(1))
        };
        let starts = self.starts;
        let noted: Vec<u64> = (0..)
            .zip(&self.noted)
            .filter(|(_, noted)| **noted)
            .map(|(stretch, _)| stretch * WINDOW)
            .collect();
        let indices = noted
            .into_iter()
            .flat_map(move |first| first..starts.min(first + WINDOW));
        Ok(indices.map(move |index| {
            let place = index * ENTRY as u64;
            let entry = Entry {
                outcome: offset(place)?,
                end: offset(place + 8)?,
            };
            Ok((index, entry))
        }))
    }
}

/// Fills `buffer` from a place in a file, or as much of it as there is.
fn read_up_to(file: &File, buffer: &mut [u8], place: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], place + read as u64) {
            Ok(0) => break,
            Ok(count) => read += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Starts in the orders that they come in: in order, a few places off, far back one by one,
    /// and back to the beginning.
    fn notes() -> impl Strategy<Value = Vec<(u64, bool)>> {
        let stretch = (0..3 * WINDOW, 1..40u64, 1..5u64, any::<bool>());
        let stretches = prop::collection::vec((stretch, 0..200u64), 1..12);
        stretches.prop_map(|stretches| {
            let mut notes = Vec::new();
            for ((from, length, stride, end), shuffle) in stretches {
                for step in 0..length * 20 {
                    let near = (step * 7 + shuffle) % 13;
                    notes.push((from + step * stride + near, end));
                }
            }
            notes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_last_note_of_each_line_is_found(notes in notes()) {
            let mut table = LineTable::new().expect("the temporary folder can be written to");
            let mut told = BTreeMap::<u64, Entry>::new();
            for (offset, (index, is_end)) in notes.into_iter().enumerate() {
                let offset = offset as u64;
                let entry = told.entry(index).or_insert(Entry { outcome: None, end: None });
                let column = if is_end {
                    entry.end = Some(offset);
                    Column::End
                } else {
                    entry.outcome = Some(offset);
                    Column::Outcome
                };
                table.note(index, column, offset).expect("the table can be written");
                // Reading in between changes nothing.
                if offset == 100 {
                    drop(table.entries().expect("the table can be read"));
                }
            }
            let entries = table.entries().expect("the table can be read");
            let mut last = None;
            for entry in entries {
                let (index, entry) = entry.expect("the table can be read");
                prop_assert!(last < Some(index), "in order");
                last = Some(index);
                let none = Entry { outcome: None, end: None };
                let expected = told.remove(&index).unwrap_or(none);
                prop_assert_eq!(entry, expected, "start {}", index);
            }
            prop_assert!(told.is_empty());
        }
    }
}
