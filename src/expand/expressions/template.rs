//! Text with expressions in it: `bill-${{ row.id }}`.
//!
//! Compiled once, evaluated per row. A text that is one whole expression keeps the type of what the
//! expression comes to; anything else is text.

use std::borrow::Cow;
use std::ops::Range;

use super::compiler::Compiler;
use super::expression::{Expression, TextOrNode};
use super::problem::Problem;
use super::scope::Scope;
use super::text_filters;
use crate::expand::payloads::payload::MAX_REQUEST_BYTES;
use crate::manifest::diagnostic::Code;
use crate::manifest::node::{Node, Value};
use crate::manifest::source::Span;

/// Most problems that are told of one text.
const MAX_PROBLEMS: usize = 100;

/// What an expression begins and ends with.
const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// A text with at least one expression.
#[derive(Debug)]
pub(in crate::expand) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Expression {
        expression: Expression,
        written: Box<str>,
    },
}

/// A problem, and the expression that has it as it is written, with its marks.
#[derive(Debug)]
pub(in crate::expand) struct TemplateProblem {
    pub(in crate::expand) problem: Problem,
    pub(in crate::expand) written: Box<str>,
}

impl Template {
    /// Compiles a text that holds an expression.
    ///
    /// # Errors
    /// Everything that is wrong with its expressions.
    pub(in crate::expand) fn compile(
        text: &str,
        compiler: Compiler<'_>,
    ) -> Result<Self, Vec<TemplateProblem>> {
        let mut parts = Vec::new();
        let mut problems = Vec::new();
        let mut rest = text;
        while let Some(begin) = rest.find(OPEN) {
            if begin > 0 {
                parts.push(Part::Text(rest[..begin].into()));
            }
            let from = &rest[begin..];
            let Some(inner) = inner(from) else {
                let first = from.lines().next().unwrap_or_default();
                problems.push(TemplateProblem {
                    problem: Problem::new(
                        Code::InvalidExpression,
                        "this expression is never closed",
                    )
                    .with_help("close it with `}}`; to mean `${{` literally, write `${{ '${{' }}`"),
                    written: first.into(),
                });
                return Err(problems);
            };
            let written: Box<str> = from[..inner.end + CLOSE.len()].into();
            match Expression::compile(from[inner.clone()].trim(), compiler) {
                Ok(expression) => parts.push(Part::Expression {
                    expression,
                    written,
                }),
                Err(problem) => {
                    let ends = problem.ends;
                    problems.push(TemplateProblem { problem, written });
                    if ends || problems.len() == MAX_PROBLEMS {
                        return Err(problems);
                    }
                }
            }
            rest = &from[inner.end + CLOSE.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        if problems.is_empty() {
            Ok(Template { parts })
        } else {
            Err(problems)
        }
    }

    /// What it comes to: a text, or any value if it is one whole expression.
    ///
    /// # Errors
    /// An expression fails, or comes to something that cannot stand in a text.
    pub(in crate::expand) fn evaluate<'r>(
        &self,
        scope: &Scope<'r>,
    ) -> Result<TextOrNode<'r>, TemplateProblem> {
        if let [
            Part::Expression {
                expression,
                written,
            },
        ] = self.parts.as_slice()
        {
            return expression
                .evaluate(scope)
                .map_err(|problem| TemplateProblem {
                    problem,
                    written: written.clone(),
                });
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Expression {
                    expression,
                    written,
                } => {
                    let appended = expression
                        .evaluate(scope)
                        .and_then(|outcome| append(outcome, &mut text));
                    appended.map_err(|problem| TemplateProblem {
                        problem,
                        written: written.clone(),
                    })?;
                }
            }
        }
        Ok(TextOrNode::Node(Cow::Owned(Node {
            value: Value::String(text.into()),
            span: Span::default(),
        })))
    }
}

/// Adds what an expression comes to to a text.
fn append(outcome: TextOrNode<'_>, text: &mut String) -> Result<(), Problem> {
    let refuse = |kind: &str| {
        let message = text_filters::refusal(kind);
        Err(Problem::failed(message).with_help(text_filters::HELP))
    };
    let node = match outcome {
        TextOrNode::Text(part) => {
            text.push_str(part);
            return within_limit(text);
        }
        TextOrNode::Node(node) => node,
    };
    match &node.value {
        Value::String(part) => text.push_str(part),
        Value::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::Null | Value::List(_) | Value::Map(_) | Value::Binary(_) => {
            return refuse(node.kind());
        }
    }
    within_limit(text)
}

fn within_limit(text: &str) -> Result<(), Problem> {
    if text.len() <= MAX_REQUEST_BYTES {
        return Ok(());
    }
    let limit = MAX_REQUEST_BYTES / (1024 * 1024);
    let message = format!("this text comes to more than {limit} MiB");
    Err(Problem::new(Code::ExpressionFailed, message)
        .with_help("store the data elsewhere and pass a reference to it"))
}

/// The inside of the expression that `text` begins with. What stands in quotes does not close it,
/// and braces inside of it come in pairs.
fn inner(text: &str) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut quote) = (OPEN.len(), 0usize, None);
    while at < bytes.len() {
        match (bytes[at], quote) {
            (b'\\', Some(_)) => at += 1,
            (byte, Some(open)) if byte == open => quote = None,
            (_, Some(_)) => {}
            (byte @ (b'\'' | b'"'), None) => quote = Some(byte),
            (b'{', None) => depth += 1,
            (b'}', None) if depth > 0 => depth -= 1,
            (b'}', None) if bytes.get(at + 1) == Some(&b'}') => return Some(OPEN.len()..at),
            _ => {}
        }
        at += 1;
    }
    None
}
