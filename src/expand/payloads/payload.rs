//! Arguments, memo values and headers as payloads: an encoding, metadata and bytes.
//!
//! Source of the encodings: sdk-go `converter/metadata.go`. Every SDK's default data converter
//! reads them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// Largest request that the service takes, in bytes: gRPC's default limit for a message. The
/// service's own limits for payloads are lower by default and can be changed by its operator.
pub const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// The encoding of a payload, and what else is to be known of its bytes.
pub type Metadata = [(String, Vec<u8>)];

/// Encodings that most payloads have; their metadata is made once and shared.
const WELL_KNOWN: [&str; 3] = ["json/plain", "binary/null", "binary/plain"];

/// A value as the service carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// `encoding` and whatever else the metadata holds, in the order written.
    pub metadata: Arc<Metadata>,
    /// The encoded value.
    pub data: Bytes,
}

impl Payload {
    /// A value in one of the well-known encodings.
    pub fn new(encoding: &str, data: impl Into<Bytes>) -> Self {
        static SHARED: OnceLock<[Arc<Metadata>; 3]> = OnceLock::new();
        let make = |encoding: &str| -> Arc<Metadata> {
            Arc::new([("encoding".to_owned(), encoding.as_bytes().to_vec())])
        };
        let known = WELL_KNOWN.iter().position(|known| *known == encoding);
        let metadata = match known {
            Some(position) => Arc::clone(&SHARED.get_or_init(|| WELL_KNOWN.map(make))[position]),
            None => make(encoding),
        };
        Payload {
            metadata,
            data: data.into(),
        }
    }

    /// Its encoding.
    pub fn encoding(&self) -> &[u8] {
        let encoding = self.metadata.iter().find(|(key, _)| key == "encoding");
        encoding.map_or(&[], |(_, encoding)| encoding)
    }

    /// A string in JSON.
    pub fn json_string(text: &str) -> Self {
        let data = serde_json::to_vec(text).expect("a string can be written as JSON");
        Payload::new("json/plain", data)
    }

    /// Bytes that the payload adds to a request, without the few bytes of protobuf's own.
    pub fn size(&self) -> usize {
        let metadata = self
            .metadata
            .iter()
            .map(|(key, value)| key.len() + value.len());
        self.data.len() + metadata.sum::<usize>()
    }
}
