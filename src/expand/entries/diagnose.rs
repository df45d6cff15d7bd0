//! Where what is wrong with a start is shown: in the manifest, and in the row.

use std::sync::Arc;

use crate::expand::expansion::Document;
use crate::expand::expressions::node_template::cell_in;
use crate::expand::rows::{Row, RowProblem, TEMPORARY_FOLDER};
use crate::manifest::diagnostic::{Code, Diagnostic, Place};
use crate::manifest::fields::Fields;
use crate::manifest::finding::Finding;
use crate::manifest::locate::{Step, Target};
use crate::manifest::node::Node;

/// Gives findings about an entry, or about one of its rows, their places.
pub(in crate::expand) fn diagnose(
    findings: Vec<Finding>,
    fields: &Fields<'_>,
    document: &Document,
    row: Option<&Arc<Row>>,
) -> Vec<Diagnostic> {
    let located = findings.into_iter().map(|mut finding| {
        let span = fields.locate(&finding.path, finding.target);
        let source = document.manifest.source();
        let Some(row) = row else {
            return finding.at(source, span);
        };
        let written = source.text().get(span.start as usize..span.end as usize);
        let cell = finding.cell.take().or_else(|| cell_in(written?));
        finding.message = format!("{} ({})", finding.message, row.in_words());
        let mut diagnostic = finding.at(source, span);
        if let Some(place) = row.place(cell.as_deref()) {
            diagnostic
                .related
                .push((format!("row {}", row.number), place));
        }
        diagnostic
    });
    located.collect()
}

/// Where an entry says where its rows come from.
pub(in crate::expand) fn for_each(document: &Document, entry: &Node) -> Place {
    let for_each = entry.get("forEach");
    let mut keys = ["csv", "jsonl", "items", "matrix"].into_iter();
    let key = keys.find(|key| for_each.is_some_and(|it| it.get(key).is_some()));
    let path: Vec<Step> = std::iter::once("forEach")
        .chain(key)
        .map(Into::into)
        .collect();
    let manifest = &document.manifest;
    Place {
        source: Arc::clone(manifest.source()),
        span: manifest.fields(entry).locate(&path, Target::Value),
    }
}

/// A problem of rows that are read for an entry.
pub(in crate::expand) fn row_problem(problem: RowProblem, for_each: Place) -> Diagnostic {
    let mut diagnostic = Diagnostic::new(problem.code, problem.message);
    diagnostic.help = problem.help;
    match problem.place {
        Some(place) => {
            let related = ("the rows are read for this entry".to_owned(), for_each);
            diagnostic.related.push(related);
            diagnostic.at_place(place)
        }
        None => diagnostic.at_place(for_each),
    }
}

/// The problem that the sorted hashes cannot be kept on disk.
pub(in crate::expand) fn cannot_sort(error: &std::io::Error) -> Diagnostic {
    let folder = std::env::temp_dir();
    let message = format!(
        "cannot use a file in the temporary folder `{}`: {error}",
        folder.display()
    );
    Diagnostic::new(Code::TemporaryFile, message).with_help(TEMPORARY_FOLDER)
}
