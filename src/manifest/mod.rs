//! Stage 1: text in, checked documents out; all findings at once; synchronous, no network.

mod alike;
pub mod bystander;
pub mod check;
mod deserializer;
pub mod diagnostic;
pub mod document;
pub mod drawing;
pub mod duration;
pub mod fields;
pub mod finding;
pub mod inputs;
mod instance;
pub mod json;
pub mod locate;
pub mod node;
pub mod opened;
mod other_names;
mod position;
pub mod reader;
mod scalar;
pub mod schema;
mod shape;
pub mod source;
mod steps;
pub mod walk;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

pub use deserializer::Mismatch;
pub(crate) use instance::{Tree, TreeNode};
pub(crate) use scalar::{shorten, shorten_to, whole_part};
pub(crate) use shape::{check_start, steps};
pub(crate) use steps::{NameCost, step, within};

use bystander::Bystander;
use diagnostic::Diagnostic;
use fields::Fields;
use node::Node;
use source::Source;
use walk::Exclude;

/// One document of kind `Starts`, with every entry that passed the checks of its text.
#[derive(Clone, Debug)]
pub struct Manifest {
    source: Arc<Source>,
    name: String,
    root: Node,
    unsound: Unsound,
}

impl Manifest {
    /// The file it stands in.
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The entries of `starts`.
    pub fn entries(&self) -> &[Node] {
        self.root.get("starts").map_or(&[], Node::items)
    }

    /// Whether the entry at a position of `starts` has the right shape.
    pub fn is_sound(&self, entry: usize) -> bool {
        !self.unsound.contains(entry)
    }

    /// The variables that the document declares.
    pub fn vars(&self) -> &[(node::Key, Node)] {
        self.root.get("vars").map_or(&[], Node::entries)
    }

    /// The argument schemas by Workflow type.
    pub fn arg_schemas(&self) -> &[(node::Key, Node)] {
        self.root.get("argSchemas").map_or(&[], Node::entries)
    }

    /// An entry's fields over the defaults.
    pub fn fields<'m>(&'m self, entry: &'m Node) -> Fields<'m> {
        Fields::new(self.root.get("defaults"), entry)
    }
}

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

/// Reads and checks every manifest that `paths` name; `exclude` says what of folders is left out.
pub fn load(paths: &[PathBuf], exclude: &Exclude) -> Loaded {
    let (sources, diagnostics) = source::read_sources(paths, exclude);
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
        let findings = shape::check(&root);
        let unsound = Unsound::of(&findings);
        loaded.diagnostics.extend(
            findings
                .into_iter()
                .map(|finding| finding.locate(source, &root)),
        );
        let name = root
            .get("metadata")
            .and_then(|metadata| metadata.get("name"))
            .and_then(Node::as_str);
        let name = name.unwrap_or_default().to_owned();
        let manifest = Manifest {
            source: Arc::clone(source),
            name,
            root,
            unsound,
        };
        check_meaning(&manifest, &mut loaded.diagnostics);
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

/// Which entries have the wrong shape, so that their meaning cannot be looked at.
#[derive(Clone, Debug)]
enum Unsound {
    /// What they all depend on is wrong.
    All,
    /// These positions.
    Some(HashSet<usize>),
}

impl Unsound {
    fn of(findings: &[finding::Finding]) -> Self {
        use locate::Step;
        let mut entries = HashSet::new();
        for finding in findings {
            match finding.path.as_slice() {
                [Step::Key(key), Step::Index(entry), ..] if key == "starts" => {
                    entries.insert(*entry);
                }
                [Step::Key(key), ..]
                    if matches!(
                        &**key,
                        "apiVersion" | "kind" | "defaults" | "starts" | "vars" | "argSchemas"
                    ) =>
                {
                    return Unsound::All;
                }
                _ => {}
            }
        }
        Unsound::Some(entries)
    }

    fn contains(&self, entry: usize) -> bool {
        match self {
            Unsound::All => true,
            Unsound::Some(entries) => entries.contains(&entry),
        }
    }
}

/// Looks at the meaning of the entries that are starts as they stand; what an expression comes to
/// is looked at when it is evaluated.
fn check_meaning(manifest: &Manifest, diagnostics: &mut Vec<Diagnostic>) {
    for (position, entry) in manifest.entries().iter().enumerate() {
        let fields = manifest.fields(entry);
        if !manifest.is_sound(position) || fields.depend_on_rows() {
            continue;
        }
        let start = match fields.read() {
            Ok(start) => start,
            Err(mismatch) => {
                let problem = Diagnostic::new(diagnostic::Code::WrongType, mismatch.to_string());
                diagnostics.push(problem.at(&manifest.source, entry.span));
                continue;
            }
        };
        for finding in check::check(&start) {
            let span = fields.locate(&finding.path, finding.target);
            diagnostics.push(finding.at(&manifest.source, span));
        }
    }
}
