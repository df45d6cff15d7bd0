//! What the program takes from its surroundings: the configuration that it shares with the official
//! CLI, and what the terminal can show.

use crate::support::binary::{Binary, Folder};
use crate::support::fake_frontend::FakeFrontend;

const MANIFEST: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: here}\n\
                        defaults: {type: T, taskQueue: q}\nstarts:\n- {workflowId: a}\n";

/// What each of two services heard: the namespaces that were asked for.
fn heard(fakes: &[&FakeFrontend; 2]) -> [Vec<String>; 2] {
    fakes.map(|fake| {
        let asked = fake.namespaces().into_iter();
        asked.map(|it| it.message.namespace).collect()
    })
}

/// Two services, and a file with a profile `default` for the one and `b` for the other.
fn two_profiles(folder: &Folder) -> ([FakeFrontend; 2], String) {
    let fakes = [FakeFrontend::healthy(), FakeFrontend::healthy()];
    let [first, second] = [fakes[0].address(), fakes[1].address()];
    let text = format!(
        "[profile.default]\naddress = \"{first}\"\nnamespace = \"of-default\"\n\
         [profile.b]\naddress = \"{second}\"\nnamespace = \"of-b\"\n"
    );
    let file = folder.write("t.toml", text);
    (fakes, file.to_string_lossy().into_owned())
}

#[test]
fn disabled_variables_hide_the_file_and_the_profile() {
    let folder = Folder::new();
    let ([one, other], file) = two_profiles(&folder);
    let manifest = folder.manifest(MANIFEST);
    let binary = Binary::new([
        "apply",
        "--disable-config-env",
        "--client-connect-timeout",
        "1s",
    ]);
    let binary = binary.arg(&manifest).env("TEMPORAL_CONFIG_FILE", &file);
    binary.env("TEMPORAL_PROFILE", "b").run().expect_code(5);
    assert_eq!(heard(&[&one, &other]), [vec![], vec![] as Vec<String>]);
}

#[test]
fn an_empty_variable_leaves_the_profiles_setting() {
    let folder = Folder::new();
    let ([one, other], file) = two_profiles(&folder);
    let manifest = folder.manifest(MANIFEST);
    let binary = Binary::new(["apply", "--profile", "b"]).arg(&manifest);
    let binary = binary.env("TEMPORAL_CONFIG_FILE", &file);
    binary.env("TEMPORAL_NAMESPACE", "").run().expect_code(0);
    assert_eq!(heard(&[&one, &other]), [vec![], vec!["of-b".to_owned()]]);
}

#[test]
fn an_address_for_the_resolver_is_refused() {
    let folder = Folder::new();
    let manifest = folder.manifest(MANIFEST);
    let address = format!("dns:///{}", FakeFrontend::healthy().address());
    Binary::apply(&manifest, &address, &[]).run().expect_code(2);
}

#[test]
fn a_plain_locale_gets_what_it_cannot_show() {
    let folder = Folder::new();
    let manifest = folder.manifest(&MANIFEST.replace("kind", "knid"));
    let binary = Binary::new(["validate"]).arg(&manifest).env("LANG", "C");
    let told = binary.run().expect_code(3).stderr;
    assert!(told.contains('╭') && told.contains('×'), "{told}");
}
