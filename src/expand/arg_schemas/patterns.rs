//! `pattern` with its work counted.
//!
//! Most patterns are matched by an automaton in one pass over the text. Look-ahead right after `^`
//! makes several passes of it. Look-around elsewhere and references to what was matched need an
//! engine that goes back, which may do so for ever: it reads the text through us, and each time it
//! asks for the text is counted as if it read on to the end of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fancy_regex::Input as FancyInput;
use jsonschema::{Keyword, ValidationError};
use regex_automata::Input;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::pikevm::PikeVM;
use regex_automata::nfa::thompson::{Compiler, Config, NFA};

use crate::manifest::{NameCost, Tree, TreeNode, shorten_to, step};

/// Most memory of one compiled pattern, and of all patterns of one command, in bytes.
const MAX_BYTES: usize = 4 * 1024 * 1024;
const MAX_BYTES_IN_ALL: usize = 32 * 1024 * 1024;

/// Memory that the states of one automaton take at most, unless it needs more for a few of them.
const CACHE_BYTES: usize = 64 * 1024;

/// Memory that each automaton counts as at least.
const LEAST_BYTES: usize = 32 * 1024;

/// Bytes that an automaton reads in a step, and states that are tried for a byte in a step where
/// it does not fit into its memory.
const BYTES_PER_STEP: u64 = 8;
const STATES_PER_STEP: u64 = 5;

/// Bytes of states that an automaton makes in a step.
const MADE_PER_STEP: u64 = 16;

/// The patterns of one command, each compiled once.
#[derive(Debug, Default)]
pub(super) struct Patterns {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    patterns: HashMap<String, Arc<Pattern>>,
    bytes: usize,
}

impl Patterns {
    /// A pattern, compiled.
    ///
    /// # Errors
    /// It is none, or is too large.
    pub(super) fn get(&self, pattern: &str) -> Result<Arc<Pattern>, String> {
        let mut known = self
            .known
            .lock()
            .expect("nothing panics while it holds this lock");
        if let Some(pattern) = known.patterns.get(pattern) {
            return Ok(Arc::clone(pattern));
        }
        let compiled = Pattern::compile(pattern)?;
        known.bytes += compiled.bytes();
        if known.bytes > MAX_BYTES_IN_ALL {
            return Err(
                "the patterns of the argument schemas take more memory than all may".to_owned(),
            );
        }
        let compiled = Arc::new(compiled);
        known
            .patterns
            .insert(pattern.to_owned(), Arc::clone(&compiled));
        Ok(compiled)
    }

    /// What a look at a name of a property costs that is held against these patterns, which the
    /// validator matches by itself.
    ///
    /// # Errors
    /// One of them is none, is too large, or may take any time.
    pub(super) fn name_cost(&self, patterns: &[String]) -> Result<NameCost, String> {
        let (mut each, mut for_16_bytes) = (0, 0);
        for pattern in patterns {
            let compiled = self.get(pattern)?;
            let Engine::Automata(automata) = &compiled.engine else {
                return Err(format!(
                    "the pattern of property names `{}` looks around elsewhere than at its beginning, or refers to what it has matched",
                    crate::manifest::shorten(pattern)
                ));
            };
            each += 1;
            for_16_bytes += automata
                .iter()
                .map(|(_, it)| it.states() / STATES_PER_STEP + 1)
                .sum::<u64>();
        }
        Ok((each, for_16_bytes))
    }
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Pattern {
    written: String,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    /// Each has to match, or not to match.
    Automata(Vec<(bool, Automaton)>),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    fn compile(pattern: &str) -> Result<Self, String> {
        let parts = looks_ahead(pattern).unwrap_or_else(|| vec![(true, pattern.to_owned())]);
        let automata = parts
            .into_iter()
            .map(|(wanted, part)| Ok((wanted, Automaton::compile(&part)?)));
        let engine = match automata.collect::<Result<Vec<_>, Refusal>>() {
            Ok(automata) => Engine::Automata(automata),
            Err(Refusal::TooLarge) => {
                return Err(format!(
                    "the pattern `{}` is too large",
                    crate::manifest::shorten(pattern)
                ));
            }
            Err(Refusal::NotRegular) => Engine::Backtracking(Box::new(backtracking(pattern)?)),
        };
        Ok(Pattern {
            written: pattern.to_owned(),
            engine,
        })
    }

    fn bytes(&self) -> usize {
        match &self.engine {
            Engine::Automata(automata) => automata.iter().map(|(_, it)| it.bytes()).sum(),
            // It keeps automata for its parts.
            Engine::Backtracking(_) => LEAST_BYTES + 1_000 * self.written.len(),
        }
    }

    fn is_match(&self, text: &str) -> bool {
        match &self.engine {
            Engine::Automata(automata) => automata
                .iter()
                .all(|(wanted, it)| it.is_match(text) == *wanted),
            // At its own limit it says nothing, which is no match.
            Engine::Backtracking(regex) => regex.is_match(&Counted(text)).unwrap_or(false),
        }
    }
}

fn backtracking(pattern: &str) -> Result<fancy_regex::Regex, String> {
    let translated = jsonschema_regex::to_rust_regex(pattern).unwrap_or(pattern.into());
    fancy_regex::RegexBuilder::new(&translated)
        .delegate_size_limit(MAX_BYTES)
        .build()
        .map_err(|_| {
            format!(
                "`{}` is no regular expression",
                crate::manifest::shorten(pattern)
            )
        })
}

/// Why there is no automaton for a pattern.
enum Refusal {
    /// It is no regular expression, or one that needs more than an automaton.
    NotRegular,
    TooLarge,
}

/// A pattern that is matched in one pass.
#[derive(Debug)]
struct Automaton {
    nfa: NFA,
    /// Its states are made while it reads.
    dfa: DFA,
    cache: Mutex<Cache>,
    /// For texts whose states do not fit into the cache.
    slow: PikeVM,
}

impl Automaton {
    fn compile(pattern: &str) -> Result<Self, Refusal> {
        let translated =
            jsonschema_regex::to_rust_regex(pattern).map_err(|()| Refusal::NotRegular)?;
        let config = Config::new().nfa_size_limit(Some(MAX_BYTES)).shrink(false);
        let nfa = Compiler::new().configure(config).build(&translated);
        let nfa = nfa.map_err(|error| match error.size_limit() {
            Some(_) => Refusal::TooLarge,
            None => Refusal::NotRegular,
        })?;
        let config = DFA::config()
            .cache_capacity(CACHE_BYTES)
            .skip_cache_capacity_check(true)
            .unicode_word_boundary(true)
            .minimum_cache_clear_count(Some(3))
            .minimum_bytes_per_state(Some(10));
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa.clone());
        let dfa = dfa.map_err(|_| Refusal::TooLarge)?;
        let slow = PikeVM::new_from_nfa(nfa.clone()).map_err(|_| Refusal::TooLarge)?;
        Ok(Automaton {
            cache: Mutex::new(dfa.create_cache()),
            nfa,
            dfa,
            slow,
        })
    }

    fn states(&self) -> u64 {
        self.nfa.states().len() as u64
    }

    fn bytes(&self) -> usize {
        LEAST_BYTES + 2 * self.nfa.memory_usage()
    }

    fn is_match(&self, text: &str) -> bool {
        step(1 + text.len() as u64 / BYTES_PER_STEP);
        let input = Input::new(text).earliest(true);
        let (found, made) = {
            // A search that was ended leaves nothing behind that the next one minds.
            let mut cache = self
                .cache
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let made = |cache: &Cache| cache.clear_count() * CACHE_BYTES + cache.memory_usage();
            let before = made(&cache);
            let found = self.dfa.try_search_fwd(&mut cache, &input);
            (found, made(&cache).saturating_sub(before))
        };
        step(made as u64 / MADE_PER_STEP);
        match found {
            Ok(found) => found.is_some(),
            Err(_) => {
                step((text.len() as u64 + 1) * (self.states() / STATES_PER_STEP + 1));
                let mut cache = self.slow.create_cache();
                self.slow.is_match(&mut cache, text)
            }
        }
    }
}

/// What a pattern looks ahead to right after `^`, and the rest, each as a pattern of its own that
/// has to match, or not to match. `None` if there is nothing of the kind.
fn looks_ahead(pattern: &str) -> Option<Vec<(bool, String)>> {
    let mut rest = pattern.strip_prefix('^')?;
    let mut parts = Vec::new();
    loop {
        let (wanted, after) = match (rest.strip_prefix("(?="), rest.strip_prefix("(?!")) {
            (Some(after), _) => (true, after),
            (_, Some(after)) => (false, after),
            _ => break,
        };
        let end = at_top_level(after, ')')?;
        parts.push((wanted, format!("^(?:{})", &after[..end])));
        rest = &after[end + 1..];
    }
    let is_plain = !rest.starts_with(['*', '+', '?', '{']) && at_top_level(rest, '|').is_none();
    if parts.is_empty() || !is_plain {
        return None;
    }
    parts.push((true, format!("^(?:{rest})")));
    Some(parts)
}

/// Where a character stands first that is neither escaped nor in a group or class.
fn at_top_level(pattern: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut in_class) = (0usize, false);
    let mut characters = pattern.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => drop(characters.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            _ if in_class => {}
            _ if c == wanted && depth == 0 => return Some(at),
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// A text that counts how often the engine that goes back asks for it.
struct Counted<'t>(&'t str);

impl FancyInput for Counted<'_> {
    type Match<'t>
        = ()
    where
        Self: 't;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn as_bytes(&self) -> &[u8] {
        step(1 + self.0.len() as u64);
        self.0.as_bytes()
    }

    fn is_char_boundary(&self, at: usize) -> bool {
        self.0.is_char_boundary(at)
    }

    fn is_ascii(&self) -> bool {
        self.0.is_ascii()
    }

    fn prev_codepoint_ix(&self, at: usize) -> usize {
        step(1);
        FancyInput::prev_codepoint_ix(self.0, at)
    }

    fn make_match<'t>(&'t self, _: usize, _: usize) -> Self::Match<'t> {}

    fn advance_position(&self, at: usize) -> usize {
        step(1);
        FancyInput::advance_position(self.0, at)
    }
}

/// The keyword `pattern`.
pub(super) struct PatternKeyword(pub(super) Arc<Pattern>);

impl<'i> Keyword<'i, Tree> for PatternKeyword {
    fn validate(&self, value: TreeNode<'i>) -> Result<(), ValidationError<'i>> {
        use jsonschema::json::Node;
        let Some(text) = value.as_string().filter(|text| !self.0.is_match(text)) else {
            return Ok(());
        };
        let shown = serde_json::to_string(&shorten_to(&text, 100)).unwrap_or_default();
        Err(ValidationError::custom(format!(
            "{shown} does not match \"{}\"",
            self.0.written
        )))
    }

    fn is_valid(&self, value: TreeNode<'i>) -> bool {
        use jsonschema::json::Node;
        value.as_string().is_none_or(|text| self.0.is_match(&text))
    }
}

/// The keyword that counts how often a schema branches.
pub(super) struct StepKeyword;

impl<'i> Keyword<'i, Tree> for StepKeyword {
    fn validate(&self, value: TreeNode<'i>) -> Result<(), ValidationError<'i>> {
        Keyword::<Tree>::is_valid(self, value);
        Ok(())
    }

    fn is_valid(&self, _: TreeNode<'i>) -> bool {
        step(10);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::within;

    fn matched(pattern: &str, text: &str) -> Option<bool> {
        let pattern = Patterns::default().get(pattern).expect("this is a pattern");
        within(1_000_000, (0, 0), || pattern.is_match(text)).0
    }

    #[test]
    fn patterns_match_as_they_say() {
        let table = [
            ("^a+$", "aaa", true),
            ("^a+$", "aab", false),
            ("b", "abc", true),
            (r"^\d{4}-\d{2}$", "2026-11", true),
            (r"^(?!\s*$).+", "  ", false),
            (r"^(?!\s*$).+", " x", true),
            (r"^(?=.*[a-z])(?=.*\d).{4,}$", "abc1", true),
            (r"^(?=.*[a-z])(?=.*\d).{4,}$", "abcd", false),
            (r"^(?!a|b)c|d", "d", true),
            (r"^(?!-)[a-z-]{1,63}(?<!-)$", "a-b", true),
            (r"^(?!-)[a-z-]{1,63}(?<!-)$", "ab-", false),
            (r"^(\w)\1$", "aa", true),
            (r"^(\w)\1$", "ab", false),
            (r"\bé\b", "un é", true),
            (r"^[^\]()]+\)$", "x)", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matched(pattern, text), Some(expected), "{pattern} {text}");
        }
    }

    #[test]
    fn no_pattern_takes_more_steps_than_there_are() {
        let long = "a".repeat(100_000);
        assert_eq!(matched("(?=a*c)b", &long), None);
        assert_eq!(matched(&("(?=a*c)".repeat(10) + "a*$"), &long), None);
        // What is regular after all is decided.
        assert_ne!(matched("^(a|a)*(?=b)$", &"a".repeat(60)), Some(true));
        assert_ne!(
            matched("[ab]*b[ab]{500}c", &"ab".repeat(50_000)),
            Some(true)
        );
        assert_eq!(matched("^(a+)+$", &"a".repeat(60)), Some(true));
        // What is decided early takes little.
        assert_eq!(matched("^x(?=a*c)b", "yes"), Some(false));
    }
}
