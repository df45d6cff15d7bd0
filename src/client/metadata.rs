//! The gRPC metadata of every call.

use tonic::metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue};

use super::connect_error::ConnectError;
use super::connection::Connection;

/// The metadata for a connection: who we are, the namespace, the API key, and what the user adds.
/// The service knows no client of our name and so checks no version. To a client that does not name
/// the feature, it shows every end with a run after it as continued as new, a cron schedule's too.
/// Source: temporal `common/headers/version_checker.go`.
pub(super) fn headers(connection: &Connection) -> Result<MetadataMap, ConnectError> {
    let mut map = MetadataMap::new();
    let mut insert = |key: &str, value: &str| -> Result<(), ConnectError> {
        // What is no name may be a part of a value.
        let name: MetadataKey<Ascii> =
            key.to_ascii_lowercase()
                .parse()
                .map_err(|_| ConnectError::Setting {
                    what: "a name of the gRPC metadata has characters that headers cannot have; write KEY=VALUE".to_owned(),
                })?;
        let value: MetadataValue<Ascii> = value.parse().map_err(|_| ConnectError::Setting {
            what: format!(
                "the gRPC metadata `{key}` cannot be sent: its value has characters that headers cannot have"
            ),
        })?;
        map.insert(name, value);
        Ok(())
    };
    insert("client-name", env!("CARGO_PKG_NAME"))?;
    insert("client-version", env!("CARGO_PKG_VERSION"))?;
    insert("supported-server-versions", ">=1.0.0 <2.0.0")?;
    insert("supported-features", "follows-next-run-id")?;
    insert("temporal-namespace", &connection.namespace)?;
    if let Some(key) = &connection.api_key {
        insert("authorization", &format!("Bearer {key}"))?;
    }
    for (key, value) in &connection.grpc_meta {
        insert(key, value)?;
    }
    Ok(map)
}
