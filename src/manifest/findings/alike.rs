//! Which problems are the same mistake again: of many, the first few are shown and the rest counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::diagnostic::Diagnostic;

/// Problems of one kind that are shown.
const FEW: u64 = 3;

/// Places of further ones that are named.
const NAMED: usize = 8;

/// Problems like the one before them.
#[derive(Debug, Default)]
pub(in crate::manifest) struct Others {
    /// How many.
    pub(in crate::manifest) count: u64,
    places: Vec<String>,
}

impl Others {
    /// Where they are, if there are any.
    pub(in crate::manifest) fn named(&self) -> Option<String> {
        let more = if self.count > self.places.len() as u64 {
            ", ..."
        } else {
            ""
        };
        (self.count > 0).then(|| format!("{}{more}", self.places.join(", ")))
    }
}

/// The problems that are shown, each with those that are like it and are not.
pub(in crate::manifest) fn alike(diagnostics: &[Diagnostic]) -> Vec<(&Diagnostic, Others)> {
    let mut shown: Vec<(&Diagnostic, Others)> = Vec::new();
    // How many of a kind there were, and the last one of them that is shown.
    let mut kinds: HashMap<String, (u64, usize)> = HashMap::new();
    for diagnostic in diagnostics {
        let own = kinds_of(diagnostic);
        let before = own.iter().filter_map(|kind| kinds.get(kind));
        if let Some((_, last)) = before.copied().find(|(count, _)| *count >= FEW) {
            let others = &mut shown[last].1;
            others.count += 1;
            if others.places.len() < NAMED {
                others.places.extend(place(diagnostic));
            }
            continue;
        }
        shown.push((diagnostic, Others::default()));
        for kind in own {
            let (count, last) = kinds.entry(kind).or_default();
            *count += 1;
            *last = shown.len() - 1;
        }
    }
    shown
}

/// What a problem has in common with others: the same words but for numbers anywhere, or at the
/// same place, in another row, also the same words about another value.
fn kinds_of(diagnostic: &Diagnostic) -> Vec<String> {
    let code = diagnostic.code.as_str();
    let words = without_numbers(&diagnostic.message);
    let mut kinds = vec![format!("{code} {words}")];
    if let Some(place) = &diagnostic.place {
        let at = format!("{}:{}", place.source.name(), place.span.start);
        let quoted = words.split('`').step_by(2);
        let around: Vec<&str> = quoted.collect();
        kinds.push(format!("{code} {at} {}", around.join("`")));
    }
    kinds
}

fn without_numbers(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' if kept.ends_with('#') => {}
            '0'..='9' => kept.push('#'),
            other => kept.push(other),
        }
    }
    kept
}

/// File and line: of the row, if it is about one.
fn place(diagnostic: &Diagnostic) -> Option<String> {
    let own = diagnostic.place.as_ref()?;
    let mut elsewhere = diagnostic.related.iter().map(|(_, place)| place);
    let row = elsewhere.find(|place| !Arc::ptr_eq(&place.source, &own.source));
    let place = row.unwrap_or(own);
    let (line, _) = place.source.line_column(place.span.start);
    Some(format!("{}:{line}", place.source.name()))
}
