//! Starts Workflows as a program with the Rust SDK does: a client with its default settings, and a
//! loop that keeps so many starts in flight.

use std::error::Error;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url, WorkflowStartOptions,
};
use temporalio_common::{HasWorkflowDefinition, WorkflowDefinition};

const USAGE: &str = "usage: rust_sdk HOST:PORT PARALLELISM STARTS";

struct Bench;

#[derive(Serialize, Deserialize)]
struct Order {
    customer: String,
    cents: u64,
}

impl WorkflowDefinition for Bench {
    type Input = Order;
    type Output = ();

    fn name(&self) -> &str {
        "Bench"
    }
}

impl HasWorkflowDefinition for Bench {
    type Run = Self;
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, parallelism, starts] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let (parallelism, starts): (usize, u64) = (parallelism.parse()?, starts.parse()?);
    let url = Url::parse(&format!("http://{address}"))?;
    let connection = Connection::connect(ConnectionOptions::new(url).build()).await?;
    let client = Client::new(connection, ClientOptions::new("default").build())?;
    let mut in_flight = FuturesUnordered::new();
    for number in 0..starts {
        if in_flight.len() == parallelism
            && let Some(answer) = in_flight.next().await
        {
            answer?;
        }
        in_flight.push(start(&client, number));
    }
    while let Some(answer) = in_flight.next().await {
        answer?;
    }
    Ok(())
}

async fn start(client: &Client, number: u64) -> Result<(), Box<dyn Error>> {
    let order = Order {
        customer: format!("customer-{number}"),
        cents: number,
    };
    let options = WorkflowStartOptions::new("bench", format!("rust-{number}")).build();
    client.start_workflow(Bench, order, options).await?;
    Ok(())
}
