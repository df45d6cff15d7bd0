//! Generates code from `proto/`, and does nothing else.
//!
//! protox parses the files, so that no protoc has to be installed. Into `OUT_DIR` go the messages
//! and the client, for the library. Into `OUT_DIR/server` go the server traits, for the fake
//! frontend of tests and benches: their types are the library's own, and the library ships no
//! server. `OUT_DIR/temporal_descriptor.bin` is what the wire test compares with a real server.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use protox::prost::Message as _;

/// Where the library keeps the generated messages, as its dependents see it.
const LIBRARY_MESSAGES: &str = "::temporal_manifest::client::api";

#[expect(
    clippy::disallowed_methods,
    reason = "Cargo tells a build script its folder this way"
)]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let server_dir = out_dir.join("server");
    fs::create_dir_all(&server_dir)?;

    let mut files = Vec::new();
    collect_protos(Path::new("proto"), &mut files)?;
    // The order of a folder's entries differs between file systems; the output must not.
    files.sort();
    let descriptors = protox::compile(&files, ["proto"])?;
    fs::write(
        out_dir.join("temporal_descriptor.bin"),
        descriptors.encode_to_vec(),
    )?;

    // Names let a status detail, which is a `google.protobuf.Any`, be matched to its message.
    let mut named = tonic_prost_build::Config::new();
    named.enable_type_names();
    named.type_name_domain(["."], "type.googleapis.com");
    tonic_prost_build::configure()
        .build_server(false)
        // Sorted maps make equal requests equal byte for byte.
        .btree_map(".")
        // An argument may be megabytes; cloning a request for another attempt must not copy it.
        .bytes(".temporal.api.common.v1.Payload.data")
        .emit_rerun_if_changed(false)
        .out_dir(&out_dir)
        .compile_fds_with_config(descriptors.clone(), named)?;

    tonic_prost_build::configure()
        .build_client(false)
        .extern_path(
            ".temporal.api",
            format!("{LIBRARY_MESSAGES}::temporal::api"),
        )
        .extern_path(".google.rpc", format!("{LIBRARY_MESSAGES}::google::rpc"))
        .emit_rerun_if_changed(false)
        .out_dir(&server_dir)
        .compile_fds(descriptors)?;
    Ok(())
}

/// Adds every `.proto` file below `folder` to `files`.
fn collect_protos(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}
