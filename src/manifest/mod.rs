//! Stage 1: text in, checked documents out; all findings at once; synchronous, no network.

pub mod bystander;
pub mod document;
mod files;
mod findings;
pub mod kinds;
pub mod schema;
mod text;

use std::path::PathBuf;
use std::sync::Arc;

pub use document::{check, fields};
pub use files::{inputs, opened, sources, walk};
pub use findings::{diagnostic, drawing, finding, locate, spelling};
pub(crate) use kinds::starts::check_start;
pub use kinds::{API_VERSION, Kind, Manifest, StartsManifest};
pub use schema::committed;
pub(crate) use schema::explain::path_to;
pub(crate) use schema::instance::{Tree, TreeNode};
pub(crate) use schema::steps::{NameCost, step, within};
pub use text::deserializer::Mismatch;
pub(crate) use text::scalar::{shorten, shorten_to, whole_part};
pub use text::{duration, json, node, reader, source};

use bystander::Bystander;
use diagnostic::Diagnostic;
use inputs::FilesRead;
use node::Node;
use source::Source;
use walk::Exclude;

/// Everything that was read from the paths of one command.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The files with manifests, in the order they were read.
    pub sources: Vec<Arc<Source>>,
    /// Files of folders that are no manifests, nor meant as such.
    pub bystanders: Vec<Bystander>,
    /// The documents that could be read, in the order of the files.
    pub manifests: Vec<Manifest>,
    /// Everything that is wrong or worth a hint.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads and checks every manifest that `paths` name; `exclude` says what of folders is left out. What
/// is read is noted in `read`.
pub fn load(paths: &[PathBuf], exclude: &Exclude, read: &FilesRead) -> Loaded {
    let (sources, diagnostics) = sources::read_sources(paths, exclude, read);
    let mut loaded = Loaded {
        diagnostics,
        ..Loaded::default()
    };
    for source in &sources {
        let mut one = load_source(source);
        loaded.sources.append(&mut one.sources);
        loaded.bystanders.append(&mut one.bystanders);
        loaded.manifests.append(&mut one.manifests);
        loaded.diagnostics.append(&mut one.diagnostics);
    }
    for folder in paths {
        let is_in = |source: &Source| source.found_in() == Some(folder.as_path());
        let others = loaded.bystanders.iter().filter(|it| is_in(&it.source));
        let others: Vec<_> = others.collect();
        if !others.is_empty() && !loaded.sources.iter().any(|source| is_in(source)) {
            let problem = bystander::nothing_else(folder, &others);
            loaded.diagnostics.push(problem);
        }
    }
    loaded
}

/// Problems of one file past which its further documents are not looked at: a file of 10 MB has room
/// for a million documents, and each of their problems takes a kilobyte.
const MAX_PROBLEMS: usize = 10_000;

/// Reads and checks every document of one source.
pub fn load_source(source: &Arc<Source>) -> Loaded {
    let mut loaded = Loaded::default();
    let documents = reader::read(source, &mut loaded.diagnostics);
    if source.found_in().is_some()
        && let Some(what) = bystander::whole_file(&documents, &loaded.diagnostics)
    {
        return Loaded {
            bystanders: vec![Bystander {
                source: Arc::clone(source),
                what,
            }],
            ..Loaded::default()
        };
    }
    loaded.sources.push(Arc::clone(source));
    // A key that was dropped as a duplicate or a value that could not be read would only show as
    // a second problem that is none.
    let readable = loaded.diagnostics.is_empty();
    for root in documents {
        if loaded.diagnostics.len() >= MAX_PROBLEMS {
            break;
        }
        // Other things lie beside manifests, in one file too.
        if source.found_in().is_some()
            && let Some(what) = bystander::what_else(&root)
        {
            loaded.bystanders.push(Bystander {
                source: Arc::clone(source),
                what,
            });
            continue;
        }
        let (kind, foreign) = Kind::of(&root);
        let findings = match foreign {
            Some(foreign) => vec![foreign],
            None => schema::shape::check(kind.definition(), &root),
        };
        let (manifest, mut meaning) = kind.read(source, &root, &findings);
        let located = findings.into_iter().map(|it| it.locate(source, &root));
        loaded.diagnostics.extend(located);
        loaded.diagnostics.append(&mut meaning);
        if readable {
            loaded.manifests.push(manifest);
        }
    }
    loaded
}

/// Reads a file that holds one map, such as one of variables.
pub fn read_map(source: &Arc<Source>, problems: &mut Vec<Diagnostic>) -> Vec<(String, Node)> {
    let documents = reader::read(source, problems);
    let mut entries = Vec::new();
    for document in documents {
        if let node::Value::Map(map) = document.value {
            let map = map.iter().cloned();
            entries.extend(map.map(|(key, value)| (key.text.into(), value)));
            continue;
        }
        let message = format!("this file must hold a map, and this is {}", document.kind());
        let problem = Diagnostic::new(diagnostic::Code::WrongType, message);
        problems.push(
            problem
                .with_help("write one `NAME: VALUE` on each line")
                .at(source, document.span),
        );
    }
    entries
}
