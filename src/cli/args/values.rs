//! What flags take: the words of those that have a few, and how others are read.

use std::time::Duration;

use clap::ValueEnum;

use temporal_manifest::apply::settings::MaxFailures;
use temporal_manifest::expand::selection::{Shard, ShardError};
use temporal_manifest::manifest::duration;
use temporal_manifest::report::target::ReportTarget;

/// A shard, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardChoice {
    /// This one.
    Given(Shard),
    /// The one that an Indexed Job's pod is to make, of so many.
    Auto(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    Text,
    /// One document at the end
    Json,
    /// One line for each event or start
    Jsonl,
    /// Nothing
    None,
    /// Workflow annotations for GitHub Actions
    Github,
}

/// A file that `--report` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReportFile {
    pub(crate) format: FileFormat,
    pub(crate) target: ReportTarget,
}

/// The form of a report file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileFormat {
    Json,
}

impl FileFormat {
    /// By the name that it is typed as.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name {
            "json" => Some(FileFormat::Json),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Always,
    Never,
    Auto,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaName {
    /// Of manifests
    Manifest,
    /// Of `apply -o json`
    Report,
    /// Of each line of `apply -o jsonl`
    Event,
    /// Of each line of a journal
    Journal,
    /// Of `validate -o json`, and of what other commands print of an invalid manifest
    Validation,
    /// Of errors that end a command under `-o json` and `-o jsonl`
    Error,
    /// Of each line of `render -o jsonl`
    Render,
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|error| format!("{error}; write for example 30s, 1h30m or 2d"))
}

pub(super) fn parse_max_failures(text: &str) -> Result<MaxFailures, String> {
    let wrong = || "write a number such as 10, or a share such as 5%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.parse() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(MaxFailures::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.parse().map(MaxFailures::Count).map_err(|_| wrong()),
    }
}

pub(super) fn parse_shard(text: &str) -> Result<ShardChoice, String> {
    if let Some(of) = text.strip_prefix("auto/") {
        let of = of.parse().ok().filter(|of| *of > 0);
        return of
            .map(ShardChoice::Auto)
            .ok_or_else(|| "write auto/N".to_owned());
    }
    text.parse()
        .map(ShardChoice::Given)
        .map_err(|error: ShardError| {
            if text.starts_with("0/") {
                "shards count from 1; in a Kubernetes Indexed Job write auto/N".to_owned()
            } else {
                error.to_string()
            }
        })
}

pub(super) fn parse_report(text: &str) -> Result<ReportFile, String> {
    let parts = text.split_once('=').filter(|(_, file)| !file.is_empty());
    let parsed = parts.and_then(|(format, file)| {
        Some(ReportFile {
            format: FileFormat::of(format)?,
            target: ReportTarget::of(file),
        })
    });
    parsed.ok_or_else(|| "write json=FILE".to_owned())
}

pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text
        .parse()
        .map_err(|_| "write a number, such as 50 or 0.5".to_owned())?;
    if (0.001..=1_000_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("it must be from 0.001 to 1000000".to_owned())
    }
}

pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}
