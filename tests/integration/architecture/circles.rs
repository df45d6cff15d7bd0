//! No file knows another one that knows it, however far around.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module as the names that lead to it.
type Module = Vec<String>;

/// The code of every module, without tests and comments.
struct Modules {
    code: BTreeMap<Module, String>,
    /// What modules hand on under a name of their own, and where it is.
    handed_on: BTreeMap<Module, Module>,
}

impl Modules {
    fn new(files: &[(String, String)]) -> Self {
        let code = files.iter().map(|(file, text)| {
            let module = file.trim_end_matches(".rs").trim_end_matches("/mod");
            (module.split('/').map(str::to_owned).collect(), code(text))
        });
        let mut modules = Modules {
            code: code.collect(),
            handed_on: BTreeMap::new(),
        };
        for (module, code) in &modules.code {
            for path in handed_on(code) {
                let place = modules.place(module, &path);
                let name = place.last().cloned().unwrap_or_default();
                let own = [module.as_slice(), &[name]].concat();
                // What is handed on under the name of the file it is from needs no way of its own, and
                // would lead to itself for ever.
                if !place.starts_with(&own) {
                    modules.handed_on.insert(own, place);
                }
            }
        }
        modules
    }

    /// The names that lead to what a path in a module means.
    fn place(&self, module: &[String], path: &str) -> Module {
        let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "self") {
            parts.pop();
        }
        let mut from = module.to_vec();
        match parts.first().map(String::as_str) {
            Some("crate") => from.clear(),
            Some("super") => {
                from.pop();
            }
            Some("self") => {}
            _ => return [from, parts].concat(),
        }
        from.extend(parts.drain(1..));
        from
    }

    /// The module in whose file something stands.
    fn file_of(&self, place: &[String]) -> Option<Module> {
        let mut place = place.to_vec();
        while let Some(length) = self.longest(&self.handed_on, &place) {
            let at = &self.handed_on[&place[..length]];
            place = [at.as_slice(), &place[length..]].concat();
        }
        let length = self.longest(&self.code, &place)?;
        Some(place[..length].to_vec())
    }

    fn longest<T>(&self, known: &BTreeMap<Module, T>, place: &[String]) -> Option<usize> {
        let lengths = (1..=place.len()).rev();
        lengths
            .into_iter()
            .find(|length| known.contains_key(&place[..*length]))
    }

    /// The modules that a module names.
    fn known_by(&self, module: &Module) -> BTreeSet<Module> {
        let code = without_handing_on(&self.code[module]);
        let is_child =
            |other: &&Module| other.split_last().is_some_and(|(_, above)| above == module);
        let children = self.code.keys().filter(is_child);
        let children = children.filter_map(|child| Some(format!("{}::", child.last()?)));
        let starts = ["crate::", "super::", "self::"].map(str::to_owned);
        let starts: Vec<String> = starts.into_iter().chain(children).collect();
        let paths = starts.iter().flat_map(|start| paths_from(&code, start));
        let places = paths.map(|path| self.place(module, &path));
        let files = places.filter_map(|place| self.file_of(&place));
        files.filter(|file| file != module).collect()
    }

    /// Every module that knows itself, with those on the way around.
    fn circles(&self) -> BTreeSet<Vec<String>> {
        let known: BTreeMap<_, _> = self.code.keys().map(|it| (it, self.known_by(it))).collect();
        let reach = |from: &Module| {
            let mut reached = BTreeSet::new();
            let mut next: Vec<&Module> = known[from].iter().collect();
            while let Some(module) = next.pop() {
                if reached.insert(module) {
                    next.extend(&known[module]);
                }
            }
            reached
        };
        let reached: BTreeMap<_, _> = known.keys().map(|it| (*it, reach(it))).collect();
        let around = |module: &&Module| reached[*module].contains(*module);
        let circles = known.keys().copied().filter(around).map(|module| {
            let others = reached[module].iter();
            let back = others.filter(|other| reached[**other].contains(module));
            back.map(|it| it.join("/")).collect()
        });
        circles.collect()
    }
}

/// A file's code: no tests, no comments, and of visibilities only that they are.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next();
    let lines = text.unwrap_or_default().lines();
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    let mut code = code.map(|line| format!("{line}\n")).collect::<String>();
    while let Some(at) = code.find("pub(") {
        let end = code[at..].find(')').map_or(code.len(), |end| at + end + 1);
        code.replace_range(at..end, "pub");
    }
    code
}

/// The paths in a module's `pub use`.
fn handed_on(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for piece in code.split("pub use ").skip(1) {
        super::expand("", piece, &mut paths);
    }
    paths
}

/// Code without its `pub use`, which makes nothing depend on what is handed on.
fn without_handing_on(code: &str) -> String {
    let mut pieces = code.split("pub use ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |code, piece| {
        let rest = piece.split_once(';').map_or("", |(_, rest)| rest);
        code + rest
    })
}

/// The paths in `code` that begin with `start`.
fn paths_from(code: &str, start: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for (at, _) in code.match_indices(start) {
        let is_inside = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if !code[..at].ends_with(is_inside) {
            super::expand("", &code[at..], &mut paths);
        }
    }
    paths
}

#[test]
fn no_two_files_know_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = super::rust_files(&src).into_iter().map(|file| {
        let name = file.strip_prefix(&src).expect("it lies in src");
        let text = std::fs::read_to_string(&file).expect("source is text");
        (name.to_string_lossy().into_owned(), text)
    });
    let files: Vec<_> = files.collect();
    let modules = Modules::new(&files);
    let known: usize = modules
        .code
        .keys()
        .map(|it| modules.known_by(it).len())
        .sum();
    assert!(
        known > 300,
        "only {known} files that others name were found"
    );
    let circles = modules.circles();
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn circles_are_found_through_names_that_are_handed_on() {
    let files = |texts: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(file, text): &(&str, &str)| ((*file).to_owned(), (*text).to_owned());
        texts.iter().map(owned).collect()
    };
    let straight = [
        (
            "a/mod.rs",
            "mod b;\nmod c;\npub use c::{C, D};\nfn f() { b::g() }\n",
        ),
        (
            "a/b.rs",
            "use super::C;\n// use super::f;\npub(in crate::a) fn g() {}\n",
        ),
        (
            "a/c.rs",
            "pub struct C;\n#[cfg(test)]\nmod tests { use crate::a::b::g; }\n",
        ),
    ];
    assert!(Modules::new(&files(&straight)).circles().is_empty());
    let mut around = straight;
    around[2].1 = "use crate::{e::E, a::{b}};\n";
    let circles = Modules::new(&files(&around)).circles();
    let expected = ["a/b", "a/c"].map(str::to_owned);
    assert_eq!(circles, [expected.to_vec()].into());
    around[2].1 = "use super::f;\n";
    let circles = Modules::new(&files(&around)).circles();
    let expected = ["a", "a/b", "a/c"].map(str::to_owned);
    assert_eq!(circles, [expected.to_vec()].into());
}
