//! The starts one by one: entry by entry, and row by row.

use std::iter::Peekable;
use std::sync::Arc;

use super::build;
use super::diagnose::{self, cannot_sort, diagnose};
use super::for_each::Surroundings;
use super::recipe::Recipe;
use crate::expand::arg_schemas::Spent;
use crate::expand::expansion::{Document, Expansion};
use crate::expand::ids::identity::Generator;
use crate::expand::ids::workflow_ids::{Merge, Sorted};
use crate::expand::rows::{Row, RowIter};
use crate::expand::start::{SourceLine, Start};
use crate::manifest::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::finding::Finding;
use crate::manifest::locate::Target;
use crate::manifest::node::{Node, holds_expression};

/// Why starts are made.
#[derive(Clone, Copy, Debug)]
pub(in crate::expand) enum Pass<'e> {
    /// To check them. Every start with a generated Workflow ID gets the first one of its content.
    Check {
        /// Whether [`Made::content`] is wanted.
        content: bool,
    },
    /// To use them: for starts with generated Workflow IDs whose content has occurred before, their
    /// index and how often it has.
    Use(&'e Sorted),
}

/// One start, or what is wrong with it.
pub(in crate::expand) struct Item<'e> {
    pub(in crate::expand) position: usize,
    pub(in crate::expand) document: &'e Document,
    pub(in crate::expand) entry: &'e Node,
    pub(in crate::expand) row: Option<Arc<Row>>,
    pub(in crate::expand) index: u64,
    pub(in crate::expand) made: Result<Made, Vec<Diagnostic>>,
}

/// A start, and what is known from making it.
pub(in crate::expand) struct Made {
    pub(in crate::expand) start: Start,
    /// Whether its Workflow ID depends on the key, because the manifest gives none.
    pub(in crate::expand) is_generated: bool,
    /// The digest of what it carries, the same in any invocation, if it was computed.
    pub(in crate::expand) content: Option<[u8; 32]>,
}

impl Item<'_> {
    /// Where the start's Workflow ID is written, or else its entry.
    pub(in crate::expand) fn workflow_id_place(&self) -> Place {
        let manifest = &self.document.manifest;
        let fields = manifest.fields(self.entry);
        Place {
            source: Arc::clone(manifest.source()),
            span: fields.locate(&["workflowId".into()], Target::Value),
        }
    }
}

/// Steps of the budget that a start takes at least, each of its rows' cells, and each of its
/// payloads.
const STEPS_PER_START: u64 = 100;
const STEPS_PER_CELL: u64 = 10;
const STEPS_PER_PAYLOAD: u64 = 5;

/// Steps that a problem takes: its row is read again, and words are made.
const STEPS_PER_PROBLEM: u64 = 2_000;

/// Bytes of a file with rows that are read in one step, and of a start that are hashed.
const BYTES_READ_PER_STEP: u64 = 10;
const BYTES_HASHED_PER_STEP: u64 = 4;

pub(in crate::expand) struct Items<'e> {
    expansion: &'e Expansion,
    pass: Pass<'e>,
    generator: Option<Generator<'e>>,
    occurrences: Option<Peekable<Merge>>,
    document: usize,
    entry: usize,
    index: u64,
    file: Option<Arc<str>>,
    current: Option<Current<'e>>,
    /// Problems of an entry as a whole, which are told with its first start.
    pending: Vec<Diagnostic>,
    /// Whether the budget was spent, and that has been told.
    ended: bool,
}

/// The entry whose starts are being made.
struct Current<'e> {
    entry: &'e Node,
    recipe: Recipe<'e>,
    /// `None` for an entry that is a single start.
    rows: Option<RowIter>,
    any_row: bool,
}

impl<'e> Items<'e> {
    pub(in crate::expand) fn new(expansion: &'e Expansion, pass: Pass<'e>) -> Self {
        let occurrences = match pass {
            Pass::Use(occurrences) if !occurrences.is_empty() => Some(occurrences),
            Pass::Use(_) | Pass::Check { .. } => None,
        };
        Items {
            expansion,
            pass,
            generator: expansion.options.key.as_ref().map(Generator::new),
            occurrences: occurrences.map(|it| it.iter().peekable()),
            document: 0,
            entry: 0,
            index: 0,
            file: None,
            current: None,
            pending: Vec::new(),
            ended: false,
        }
    }

    /// Opens the next entry. `None` after the last one.
    fn open(&mut self) -> Option<Result<(), Vec<Diagnostic>>> {
        loop {
            let document = self.expansion.documents.get(self.document)?;
            let manifest = &document.manifest;
            let Some(entry) = manifest.entries().get(self.entry) else {
                self.document += 1;
                (self.entry, self.file) = (0, None);
                continue;
            };
            self.entry += 1;
            let around = Surroundings {
                constants: &document.constants,
                folder: document.folder(&self.expansion.options),
                files: &self.expansion.files,
            };
            let recipe = match Recipe::compile(manifest.fields(entry), around) {
                Ok(recipe) => recipe,
                Err(findings) => {
                    let fields = manifest.fields(entry);
                    return Some(Err(diagnose(findings, &fields, document, None)));
                }
            };
            let mut rows = None;
            if let Recipe::Evaluated(evaluated) = &recipe {
                if let Pass::Check { .. } = self.pass {
                    let (advice, fields) = (evaluated.advice.clone(), &evaluated.fields);
                    self.pending
                        .extend(diagnose(advice, fields, document, None));
                }
                rows = evaluated.rows.as_ref().map(|rows| {
                    self.spend(rows.file_bytes() / BYTES_READ_PER_STEP);
                    rows.iter(manifest.source())
                });
            }
            self.current = Some(Current {
                entry,
                recipe,
                rows,
                any_row: false,
            });
            return Some(Ok(()));
        }
    }

    fn spend(&self, steps: u64) {
        self.expansion.budget.spend(steps);
    }

    /// Ends the expansion with a problem if checking it has taken more than the command may.
    fn bounded(&mut self, item: Item<'e>) -> Item<'e> {
        let problems = item.made.as_ref().err().map_or(0, Vec::len) as u64;
        self.spend(STEPS_PER_PROBLEM * problems);
        if !self.expansion.budget.is_spent() {
            return item;
        }
        self.ended = true;
        let fields = item.document.manifest.fields(item.entry);
        let message = "checking the starts up to this one takes more work than a command may";
        let finding = Finding::new(Code::TooMuchWork, Vec::new(), message)
            .with_help("make fewer starts in one apply, or compute elsewhere what expressions and argument schemas compute here");
        let problem = diagnose(vec![finding], &fields, item.document, item.row.as_ref());
        Item {
            made: Err(problem),
            ..item
        }
    }

    /// Problems that belong to no start.
    pub(in crate::expand) fn take_pending(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.pending)
    }

    fn item(
        &mut self,
        entry: &'e Node,
        row: Option<Arc<Row>>,
        made: Result<Made, Vec<Diagnostic>>,
    ) -> Item<'e> {
        let index = self.index;
        self.index += 1;
        Item {
            position: self.document,
            document: &self.expansion.documents[self.document],
            entry,
            row,
            index,
            made,
        }
    }

    /// Makes the start of an entry and a row.
    fn build(
        &mut self,
        current: &Current<'e>,
        row: Option<&Arc<Row>>,
    ) -> Result<Made, Vec<Diagnostic>> {
        let document = &self.expansion.documents[self.document];
        let source = document.manifest.source();
        let file = self.file.get_or_insert_with(|| source.name().into());
        let line = SourceLine {
            file: Arc::clone(file),
            line: source.line(current.entry.span.start),
            row: row.map(|row| row.number),
        };
        let folder = document.folder(&self.expansion.options);
        let index = self.index;
        let (fields, made) = match &current.recipe {
            Recipe::Written(fields) => (fields, build::start(fields, folder, index, line)),
            Recipe::Evaluated(evaluated) => {
                let made = evaluated.start(None, row, index, line, folder);
                (&evaluated.fields, made)
            }
        };
        let diagnose = |findings| diagnose(findings, fields, document, row);
        let mut start = made.map_err(diagnose)?;
        let checks = matches!(self.pass, Pass::Check { .. });
        if checks {
            let budget = &self.expansion.budget;
            match document.arg_schemas.check(&start, budget) {
                Ok(findings) if findings.is_empty() => {}
                Ok(findings) => return Err(diagnose(findings)),
                Err(Spent) => budget.exhaust(),
            }
        }
        let workflow = &start.workflow;
        let payloads = workflow.args.len() + workflow.memo.len() + workflow.headers.len();
        self.spend(STEPS_PER_PAYLOAD * payloads as u64);
        let is_generated = start.workflow_id.is_empty();
        let generator = self.generator.as_ref().filter(|_| is_generated);
        let wants_content =
            matches!(self.pass, Pass::Check { content: true }) || generator.is_some();
        if wants_content {
            self.spend(build::request_size(&start) as u64 / BYTES_HASHED_PER_STEP);
        }
        let content = wants_content.then(|| match &current.recipe {
            Recipe::Evaluated(evaluated) if evaluated.names_invocation => {
                let any = Some(&document.in_any_invocation);
                let stand_in = evaluated.start(any, row, index, start.source.clone(), folder);
                stand_in.map_or_else(|_| start.content_digest(), |it| it.content_digest())
            }
            _ => start.content_digest(),
        });
        if let (Some(generator), Some(content)) = (generator, &content) {
            let occurrence = occurrence(&mut self.occurrences, index);
            let occurrence = occurrence.map_err(|error| vec![cannot_sort(&error)])?;
            let name = document.manifest.name();
            start.workflow_id = generator.workflow_id(name, &start, content, occurrence);
        }
        Ok(Made {
            start,
            is_generated,
            content,
        })
    }
}

/// Whether a problem of one row is that of every row: an expression itself is wrong, or what it
/// comes to has the wrong type and depends on no row.
fn is_same_for_all(problem: &Diagnostic) -> bool {
    let written = problem.place.as_ref().and_then(|place| {
        let (start, end) = (place.span.start as usize, place.span.end as usize);
        place.source.text().get(start..end)
    });
    match problem.code {
        Code::InvalidExpression => true,
        Code::WrongType => written.is_some_and(|it| holds_expression(it) && !it.contains("row")),
        _ => false,
    }
}

/// How often the content of the start at `index` has occurred before.
fn occurrence(occurrences: &mut Option<Peekable<Merge>>, index: u64) -> std::io::Result<u32> {
    let Some(occurrences) = occurrences else {
        return Ok(0);
    };
    let is_due = |pair: &std::io::Result<(u64, u64)>| {
        pair.as_ref().map_or(true, |(other, _)| *other <= index)
    };
    while let Some(pair) = occurrences.next_if(is_due) {
        let (other, count) = pair?;
        if other == index {
            return Ok(u32::try_from(count).unwrap_or(u32::MAX));
        }
    }
    Ok(0)
}

impl<'e> Iterator for Items<'e> {
    type Item = Item<'e>;

    fn next(&mut self) -> Option<Item<'e>> {
        if self.ended {
            return None;
        }
        self.spend(STEPS_PER_START);
        let item = self.make()?;
        Some(self.bounded(item))
    }
}

impl<'e> Items<'e> {
    fn make(&mut self) -> Option<Item<'e>> {
        loop {
            let Some(mut current) = self.current.take() else {
                match self.open()? {
                    Ok(()) => continue,
                    Err(problems) => {
                        let entries = self.expansion.documents[self.document].manifest.entries();
                        return Some(self.item(&entries[self.entry - 1], None, Err(problems)));
                    }
                }
            };
            let entry = current.entry;
            let Some(rows) = &mut current.rows else {
                let made = self.build(&current, None);
                return Some(self.item(entry, None, made));
            };
            match rows.next() {
                None => {
                    if !current.any_row {
                        self.pending.extend(self.no_rows(&current));
                    }
                }
                Some(Ok(row)) => {
                    current.any_row = true;
                    self.spend(STEPS_PER_CELL * row.len() as u64);
                    let row = Arc::new(row);
                    let made = self.build(&current, Some(&row));
                    let is_same_for_all = made
                        .as_ref()
                        .is_err_and(|problems| problems.iter().any(is_same_for_all));
                    if !is_same_for_all {
                        self.current = Some(current);
                    }
                    return Some(self.item(entry, Some(row), made));
                }
                Some(Err(problem)) => {
                    current.any_row = true;
                    let problem = diagnose::row_problem(problem, self.rows_place(&current));
                    self.current = Some(current);
                    return Some(self.item(entry, None, Err(vec![problem])));
                }
            }
        }
    }
}

impl Items<'_> {
    fn no_rows(&self, current: &Current<'_>) -> Option<Diagnostic> {
        let Pass::Check { .. } = self.pass else {
            return None;
        };
        let advice = Diagnostic::new(
            Code::Advice,
            "there are no rows, so this entry stands for no start",
        );
        Some(advice.at_place(self.rows_place(current)))
    }

    /// Where the entry says where its rows come from.
    fn rows_place(&self, current: &Current<'_>) -> Place {
        let document = &self.expansion.documents[self.document];
        diagnose::for_each(document, current.entry)
    }
}
