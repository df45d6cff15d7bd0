//! Very many starts: all of them arrive, in little memory.

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use temporal_manifest::client::api::temporal::api::workflowservice::v1::StartWorkflowExecutionResponse;

use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::FakeFrontend;
use crate::support::full_length_is_wanted;

/// Most memory for any number of starts, and what more of them may add, in KiB.
const CEILING: u64 = 40 * 1024;
const GROWTH: u64 = 8 * 1024;

/// What an apply of rows came to.
struct Measured {
    /// Distinct Workflow IDs that arrived, and all calls.
    distinct: usize,
    calls: usize,
    /// Peak memory in KiB.
    memory: u64,
}

/// A frontend that keeps one bit for each number that a Workflow ID ends in.
struct Seen(Mutex<(Vec<bool>, usize)>);

impl Seen {
    fn note(&self, workflow_id: &str) {
        let number = workflow_id
            .rsplit('-')
            .next()
            .and_then(|it| it.parse::<usize>().ok());
        let number = number.expect("each Workflow ID ends in the number of its row");
        let mut seen = self.0.lock().expect("no holder of the lock panics");
        seen.0[number] = true;
        seen.1 += 1;
    }
}

/// Applies this many rows, with a journal, a JSON report on standard output and one in a file.
fn apply(kind: &str, rows: usize) -> Option<Measured> {
    let folder = Folder::new();
    let mut text = String::new();
    if kind == "csv" {
        text.push_str("id,customer,cents\n");
    }
    for number in 0..rows {
        match kind {
            "csv" => writeln!(text, "{number},customer-{number},{number}"),
            _ => writeln!(
                text,
                r#"{{"id":{number},"customer":"customer-{number}","cents":{number}}}"#
            ),
        }
        .expect("writing to a string cannot fail");
    }
    folder.write(&format!("rows.{kind}"), text);
    let manifest = folder.manifest(&format!(
        "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {{name: scale}}
starts:
  - forEach: {{{kind}: rows.{kind}}}
    type: Scale
    taskQueue: scale
    workflowId: scale-${{{{ row.id }}}}
    args: [{{customer: \"${{{{ row.customer }}}}\", cents: \"${{{{ row.cents | int }}}}\"}}]
"
    ));
    let seen = Arc::new(Seen(Mutex::new((vec![false; rows], 0))));
    let frontend = FakeFrontend::builder()
        .forgetful()
        .on_start({
            let seen = Arc::clone(&seen);
            move |request, _| {
                seen.note(&request.workflow_id);
                let run_id = uuid::Uuid::new_v4().to_string();
                async move {
                    Ok(StartWorkflowExecutionResponse {
                        first_execution_run_id: run_id.clone(),
                        run_id,
                        started: true,
                        ..Default::default()
                    })
                }
            }
        })
        .start();
    let output = |name: &str| folder.path().join(name).display().to_string();
    let (journal, report) = (output("journal"), output("report.json"));
    let flags = ["--parallelism", "200", "-o", "json", "--journal", &journal];
    let report_flag = format!("json={report}");
    let running = Binary::apply(manifest, &frontend.address(), &flags)
        .args(["--report", &report_flag])
        .stdout_to(Path::new(&output("stdout.json")))
        .time_limit(Duration::from_secs(1800))
        .spawn();
    let (finished, memory) = running.finish_with_memory();
    finished.expect_code(0);
    let count = |path: &str, text: &str| {
        let file = std::fs::File::open(path).expect("the file was written");
        let lines = std::io::BufRead::lines(std::io::BufReader::new(file));
        lines
            .filter(|line| line.as_ref().is_ok_and(|line| line.contains(text)))
            .count()
    };
    for file in [&report, &output("stdout.json"), &journal] {
        assert_eq!(count(file, r#""outcome":"started""#), rows, "{file}");
    }
    let seen = seen.0.lock().expect("no holder of the lock panics");
    Some(Measured {
        distinct: seen.0.iter().filter(|seen| **seen).count(),
        calls: seen.1,
        memory: memory?,
    })
}

fn memory_does_not_depend_on_the_number_of(kind: &str) {
    let many = if full_length_is_wanted() {
        1_000_000
    } else {
        100_000
    };
    let few = apply(kind, 10_000);
    let most = apply(kind, many);
    let (Some(few), Some(most)) = (few, most) else {
        crate::support::say_skipped("this system does not tell how much memory was used");
        return;
    };
    assert_eq!((most.distinct, most.calls), (many, many));
    assert_eq!((few.distinct, few.calls), (10_000, 10_000));
    let (few, most) = (few.memory, most.memory);
    assert!(most <= CEILING, "{many} rows took {most} KiB");
    assert!(
        most <= few + GROWTH,
        "{many} rows took {most} KiB, and 10,000 took {few} KiB"
    );
}

#[test]
fn rows_of_json_lines_take_little_memory_however_many() {
    memory_does_not_depend_on_the_number_of("jsonl");
}

#[test]
fn rows_of_csv_take_little_memory_however_many() {
    memory_does_not_depend_on_the_number_of("csv");
}

/// Equal contents get Workflow IDs by their number, which is counted on disk.
#[test]
fn equal_starts_without_ids_take_little_memory_however_many() {
    let many = if full_length_is_wanted() {
        1_000_000
    } else {
        150_000
    };
    let folder = Folder::new();
    let manifest = folder.manifest(&format!(
        "apiVersion: temporal-manifest/v1
kind: Starts
metadata: {{name: equal}}
starts:
  - forEach: {{matrix: {{a: \"${{{{ range({}) | list }}}}\", b: \"${{{{ range(1000) | list }}}}\"}}}}
    type: Equal
    taskQueue: scale
",
        many / 1000
    ));
    let running = Binary::new(["render".as_ref(), manifest.as_os_str()])
        .args(["-o", "jsonl", "--idempotency-key", "equal"])
        .stdout_to(&folder.path().join("starts.jsonl"))
        .time_limit(Duration::from_secs(600))
        .spawn();
    let (finished, memory) = running.finish_with_memory();
    finished.expect_code(0);
    let text = std::fs::read_to_string(folder.path().join("starts.jsonl"));
    let text = text.expect("the starts were written");
    let ids: std::collections::HashSet<&str> = text
        .lines()
        .filter_map(|line| line.split(r#""workflowId":""#).nth(1)?.split('"').next())
        .collect();
    assert_eq!(ids.len(), many);
    if let Some(memory) = memory {
        assert!(memory <= CEILING, "{many} equal starts took {memory} KiB");
    }
}
