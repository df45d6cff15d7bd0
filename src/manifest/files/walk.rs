//! Finds the manifest files of a folder.
//!
//! A link is followed to what lies below the folder and nowhere else: folders come from
//! repositories, and a repository may hold a link to anything. A mounted Kubernetes ConfigMap
//! consists of links into a hidden folder of its own.

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use walkdir::{DirEntry, WalkDir};

use crate::manifest::findings::diagnostic::{Code, Diagnostic};

/// File name endings that make a file in a folder a manifest.
const MANIFEST_EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// What of a folder is left out. Default: nothing.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    /// Held against paths relative to the folder.
    paths: GlobSet,
    /// Patterns without a `/`, held against names at any depth.
    names: GlobSet,
}

impl Exclude {
    /// Leaves out what matches one of the patterns: a path relative to the folder that is walked,
    /// or, without a `/`, a name anywhere below it. `*` and `?` match anything but `/`, `**` also
    /// that. A folder that matches is left out with all that it holds.
    ///
    /// # Errors
    /// A pattern cannot be read.
    pub fn new(patterns: &[String]) -> Result<Self, globset::Error> {
        let (mut paths, mut names) = (GlobSetBuilder::new(), GlobSetBuilder::new());
        for pattern in patterns {
            let pattern = pattern.trim_start_matches("./");
            let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
            let glob = GlobBuilder::new(pattern).literal_separator(true).build()?;
            let set = if pattern.contains('/') {
                &mut paths
            } else {
                &mut names
            };
            set.add(glob);
        }
        Ok(Exclude {
            paths: paths.build()?,
            names: names.build()?,
        })
    }

    fn covers(&self, folder: &Path, path: &Path) -> bool {
        let relative = path.strip_prefix(folder).unwrap_or(path);
        self.paths.is_match(relative) || path.file_name().is_some_and(|it| self.names.is_match(it))
    }
}

/// Every manifest file below `folder`, in the order of their paths; hidden names are left out.
pub(in crate::manifest) fn files_below(
    folder: &Path,
    exclude: &Exclude,
    problems: &mut Vec<Diagnostic>,
) -> Vec<PathBuf> {
    let mut walk = Walk {
        folder,
        exclude,
        walked: HashSet::new(),
        linked: VecDeque::new(),
        files: Vec::new(),
        problems,
    };
    match folder.canonicalize() {
        Ok(real) => walk.all(&real),
        Err(error) => walk.unreadable(folder, &error.to_string()),
    }
    let mut files = walk.files;
    files.sort();
    files
}

/// Whether a file's name makes it a manifest where a folder is walked.
fn is_manifest_name(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        MANIFEST_EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

struct Walk<'w> {
    folder: &'w Path,
    exclude: &'w Exclude,
    /// Folders that were seen, without links: each is walked once, however many links lead there.
    walked: HashSet<PathBuf>,
    /// Links to folders that are still to be followed.
    linked: VecDeque<PathBuf>,
    files: Vec<PathBuf>,
    problems: &'w mut Vec<Diagnostic>,
}

impl Walk<'_> {
    fn all(&mut self, root: &Path) {
        let mut next = Some(self.folder.to_owned());
        while let Some(path) = next {
            self.one(&path, root);
            next = self.linked.pop_front();
        }
    }

    /// Walks a folder without following links in it.
    fn one(&mut self, start: &Path, root: &Path) {
        let (folder, exclude) = (self.folder, self.exclude);
        let is_wanted = |entry: &DirEntry| {
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            entry.depth() == 0 || !(hidden || exclude.covers(folder, entry.path()))
        };
        let mut entries = WalkDir::new(start)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(is_wanted);
        while let Some(entry) = entries.next() {
            match entry {
                Ok(entry) if entry.file_type().is_dir() || entry.depth() == 0 => {
                    let real = entry.path().canonicalize();
                    // What cannot be followed is told when its entries are read.
                    if real.is_ok_and(|real| !self.walked.insert(real)) {
                        entries.skip_current_dir();
                    }
                }
                Ok(entry) if entry.file_type().is_symlink() => self.link(entry.path(), root),
                Ok(entry) if entry.file_type().is_file() && is_manifest_name(entry.path()) => {
                    self.files.push(entry.into_path());
                }
                Ok(_) => {}
                Err(error) => {
                    let path = error.path().unwrap_or(start).to_owned();
                    let words = error.io_error().map(ToString::to_string);
                    self.unreadable(&path, &words.unwrap_or_else(|| error.to_string()));
                }
            }
        }
    }

    fn link(&mut self, path: &Path, root: &Path) {
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) if is_manifest_name(path) => {
                return self.unreadable(path, &error.to_string());
            }
            Err(_) => return,
        };
        let is_folder = real.is_dir();
        if !real.starts_with(root) {
            if is_folder || is_manifest_name(path) {
                self.problems.push(link_outside(path, self.folder));
            }
            return;
        }
        let holds_itself = path
            .parent()
            .and_then(|parent| parent.canonicalize().ok())
            .is_some_and(|parent| parent.starts_with(&real));
        if is_folder && holds_itself {
            let message = "it is a link to a folder that it is in";
            self.unreadable(path, message);
        } else if is_folder {
            self.linked.push_back(path.to_owned());
        } else if real.is_file() && is_manifest_name(path) {
            self.files.push(path.to_owned());
        }
    }

    fn unreadable(&mut self, path: &Path, words: &str) {
        let message = format!("cannot read `{}`: {words}", path.display());
        self.problems
            .push(Diagnostic::new(Code::Unreadable, message));
    }
}

/// A link in a folder leads out of it. Nothing is said of what it leads to.
pub(in crate::manifest) fn link_outside(path: &Path, folder: &Path) -> Diagnostic {
    let message = format!(
        "`{}` is a link that leads out of the folder `{}`",
        path.display(),
        folder.display()
    );
    Diagnostic::new(Code::LinkOutside, message).with_help(
        "leave it out with `--exclude`, or name the file or folder itself that it leads to",
    )
}
