//! The least a client can do: a loop around the generated tonic client, without a manifest,
//! retries or a report. What others cost is measured against it, and it plays a rival.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use temporal_manifest::client::api::temporal::api::common::v1::{Payload, Payloads, WorkflowType};
use temporal_manifest::client::api::temporal::api::taskqueue::v1::TaskQueue;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::StartWorkflowExecutionRequest;
use temporal_manifest::client::api::temporal::api::workflowservice::v1::workflow_service_client::WorkflowServiceClient;
use tokio::time::{Instant, MissedTickBehavior};
use tonic::transport::{Channel, Endpoint};

const USAGE: &str = "usage: raw_client --address HOST:PORT [--parallelism N] [--starts N]
                  [--rate R] [--prefix TEXT]";

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut settings = Settings {
        address: String::new(),
        parallelism: 50,
        starts: u64::MAX,
        rate: None,
        prefix: "raw-".to_owned(),
    };
    while let Some(flag) = arguments.next() {
        // What `cargo bench` says to every benchmark. This one is only a part of others.
        if flag == "--bench" {
            return Ok(writeln!(std::io::stdout(), "{USAGE}")?);
        }
        let value = arguments.next().ok_or(USAGE)?;
        match flag.as_str() {
            "--address" => settings.address = value,
            "--parallelism" => settings.parallelism = value.parse()?,
            "--starts" => settings.starts = value.parse()?,
            "--rate" => settings.rate = Some(value.parse()?),
            "--prefix" => settings.prefix = value,
            _ => return Err(USAGE.into()),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(settings))
}

struct Settings {
    address: String,
    parallelism: usize,
    starts: u64,
    /// Calls per second; as many as go without it. A rival does not slow down when refused.
    rate: Option<f64>,
    prefix: String,
}

async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let channel = Endpoint::from_shared(format!("http://{}", settings.address))?
        .tcp_nodelay(true)
        .connect()
        .await?;
    let client = WorkflowServiceClient::new(channel);
    match settings.rate {
        None => as_fast_as_it_goes(&settings, &client).await,
        Some(rate) => steadily(&settings, &client, rate).await,
    }
}

async fn as_fast_as_it_goes(
    settings: &Settings,
    client: &WorkflowServiceClient<Channel>,
) -> Result<(), Box<dyn Error>> {
    let mut in_flight = FuturesUnordered::new();
    for number in 0..settings.starts {
        if in_flight.len() == settings.parallelism
            && let Some(answer) = in_flight.next().await
        {
            answer?;
        }
        in_flight.push(start(client, &settings.prefix, number));
    }
    while let Some(answer) = in_flight.next().await {
        answer?;
    }
    Ok(())
}

async fn steadily(
    settings: &Settings,
    client: &WorkflowServiceClient<Channel>,
    rate: f64,
) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut in_flight = FuturesUnordered::new();
    let mut number = 0;
    while number < settings.starts {
        tokio::select! {
            _ = tick.tick() => {
                while (number as f64) < began.elapsed().as_secs_f64() * rate {
                    in_flight.push(start(client, &settings.prefix, number));
                    number += 1;
                }
            }
            // A refusal is an answer like any other.
            Some(_) = in_flight.next() => {}
        }
    }
    Ok(())
}

async fn start(
    client: &WorkflowServiceClient<Channel>,
    prefix: &str,
    number: u64,
) -> Result<(), tonic::Status> {
    let argument = Payload {
        metadata: [("encoding".to_owned(), b"json/plain".to_vec())].into(),
        data: format!(r#"{{"customer":"customer-{number}","cents":{number}}}"#).into(),
    };
    let request = StartWorkflowExecutionRequest {
        namespace: "default".to_owned(),
        workflow_id: format!("{prefix}{number}"),
        workflow_type: Some(WorkflowType {
            name: "Bench".to_owned(),
        }),
        task_queue: Some(TaskQueue {
            name: "bench".to_owned(),
            ..TaskQueue::default()
        }),
        input: Some(Payloads {
            payloads: vec![argument],
        }),
        identity: "raw".to_owned(),
        request_id: format!("{prefix}{number}"),
        ..StartWorkflowExecutionRequest::default()
    };
    client.clone().start_workflow_execution(request).await?;
    Ok(())
}
