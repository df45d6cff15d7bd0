//! TLS, API keys and metadata on the wire, and that no secret is ever shown.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::support::binary::{Binary, Finished, Folder};
use crate::support::fake_frontend::FakeFrontend;

const MANIFEST: &str = "apiVersion: temporal-manifest/v1\nkind: Starts\nmetadata: {name: secured}\n\
                        starts: [{type: T, taskQueue: q, workflowId: secured}]\n";

/// What the server's certificate is made out to, beside the loopback address.
const SERVER_NAME: &str = "frontend.example";

/// An authority with a certificate for a server and one for a client.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: Folder,
}

struct Pair {
    certificate: String,
    key: String,
}

impl Certificates {
    fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).expect("no names are fine");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("keys can be made");
        let authority =
            CertifiedIssuer::self_signed(parameters, key).expect("an authority signs itself");
        let folder = Folder::new();
        folder.write("ca.pem", authority.pem());
        folder.write("manifest.yaml", MANIFEST);
        Self { authority, folder }
    }

    fn issue(&self, names: &[&str]) -> Pair {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let key = KeyPair::generate().expect("keys can be made");
        let parameters = CertificateParams::new(names).expect("the names are right");
        let certificate = parameters
            .signed_by(&key, &self.authority)
            .expect("an authority can sign");
        Pair {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A server's settings. `names` are what its certificate is made out to.
    fn server(&self, names: &[&str]) -> ServerTlsConfig {
        let pair = self.issue(names);
        ServerTlsConfig::new().identity(Identity::from_pem(pair.certificate, pair.key))
    }

    fn apply(&self, address: &str, flags: &[&str]) -> Binary {
        Binary::new(["apply", "manifest.yaml", "--address", address])
            .args(flags)
            .current_dir(self.folder.path())
    }
}

fn fake(config: ServerTlsConfig) -> FakeFrontend {
    FakeFrontend::builder().tls(config).start()
}

#[track_caller]
fn shows_none_of(finished: &Finished, secrets: &[&str]) {
    for secret in secrets {
        for text in [&finished.stdout, &finished.stderr] {
            assert!(!text.contains(secret), "{secret} is shown:\n{text}");
        }
    }
}

#[test]
fn the_servers_certificate_is_checked_against_the_given_authority() {
    let certificates = Certificates::new();
    let fake = fake(certificates.server(&["127.0.0.1"]));
    let address = fake.address();
    certificates
        .apply(&address, &["--tls-ca-path", "ca.pem"])
        .run()
        .expect_code(0);
    assert_eq!(fake.start_count(), 1);
    let data = certificates.authority.pem();
    certificates
        .apply(&address, &["--tls-ca-data", &data])
        .run()
        .expect_code(0);
    certificates
        .apply(&address, &[])
        .env("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "ca.pem")
        .run()
        .expect_code(0);
    assert_eq!(fake.start_count(), 3);

    // The system's authorities do not know ours.
    let refused = certificates
        .apply(&address, &["--tls"])
        .run()
        .expect_code(5);
    assert!(
        refused.stderr.contains("certificate") && refused.stderr.contains("UnknownIssuer"),
        "{}",
        refused.stderr
    );
    // Without TLS at all, the help names the flag.
    let refused = certificates.apply(&address, &[]).run().expect_code(5);
    assert!(refused.stderr.contains("--tls"), "{}", refused.stderr);
    let refused = certificates
        .apply(&address, &["--tls-ca-path", "ca.pem", "--tls=false"])
        .run()
        .expect_code(5);
    assert!(refused.stderr.contains("--tls"), "{}", refused.stderr);
    assert_eq!(fake.start_count(), 3);
}

#[test]
fn the_server_must_have_the_name_that_is_asked_for() {
    let certificates = Certificates::new();
    let fake = fake(certificates.server(&[SERVER_NAME]));
    let address = fake.address();
    let ca = ["--tls-ca-path", "ca.pem"];
    let refused = certificates.apply(&address, &ca).run().expect_code(5);
    assert!(
        refused.stderr.contains("not valid for name"),
        "{}",
        refused.stderr
    );
    certificates
        .apply(&address, &ca)
        .args(["--tls-server-name", SERVER_NAME])
        .run()
        .expect_code(0);
    certificates
        .apply(&address, &["--tls-disable-host-verification"])
        .run()
        .expect_code(0);
    certificates
        .apply(&address, &["--tls"])
        .env("TEMPORAL_TLS_DISABLE_HOST_VERIFICATION", "true")
        .run()
        .expect_code(0);
    assert_eq!(fake.start_count(), 3);
}

#[test]
fn a_client_shows_its_certificate() {
    let certificates = Certificates::new();
    let client = certificates.issue(&["client.example"]);
    certificates.folder.write("client.pem", &client.certificate);
    certificates.folder.write("client.key", &client.key);
    let authority = Certificate::from_pem(certificates.authority.pem());
    let fake = fake(
        certificates
            .server(&["127.0.0.1"])
            .client_ca_root(authority),
    );
    let address = fake.address();
    let ca = ["--tls-ca-path", "ca.pem"];
    let paths = [
        "--tls-cert-path",
        "client.pem",
        "--tls-key-path",
        "client.key",
    ];
    let logged = ["--log-level", "debug", "-o", "json"];
    let secret = client.key.lines().nth(1).expect("a PEM has lines");

    let applied = certificates.apply(&address, &ca).args(paths).args(logged);
    let applied = applied.run().expect_code(0);
    shows_none_of(&applied, &[secret]);
    let applied = certificates.apply(&address, &ca).args(logged).args([
        "--tls-cert-data",
        &client.certificate,
        "--tls-key-data",
        &client.key,
    ]);
    let applied = applied.run().expect_code(0);
    shows_none_of(&applied, &[secret]);
    assert_eq!(fake.start_count(), 2);

    certificates.apply(&address, &ca).run().expect_code(5);
    let half = certificates
        .apply(&address, &ca)
        .args(["--tls-cert-path", "client.pem"])
        .run()
        .expect_code(2);
    assert!(half.stderr.contains("--tls-key-path"), "{}", half.stderr);
    let missing = certificates
        .apply(&address, &["--tls-ca-path", "nosuch.pem"])
        .run()
        .expect_code(2);
    assert!(missing.stderr.contains("nosuch.pem"), "{}", missing.stderr);
    certificates.folder.write("garbage.pem", "garbage");
    let garbage = certificates
        .apply(&address, &ca)
        .args([
            "--tls-cert-path",
            "garbage.pem",
            "--tls-key-path",
            "client.key",
        ])
        .run();
    assert_ne!(garbage.code, Some(0), "{}", garbage.stderr);
    assert_eq!(fake.start_count(), 2);
}

#[test]
fn an_api_key_is_sent_over_tls_and_never_shown() {
    let certificates = Certificates::new();
    let fake = fake(certificates.server(&["127.0.0.1"]));
    let address = fake.address();
    let flags = ["--tls-ca-path", "ca.pem", "--log-level", "debug"];
    let metadata = ["--grpc-meta", "x-tenant=hidden-tenant"];
    for (number, form) in ["text", "json", "jsonl", "none"].into_iter().enumerate() {
        let applied = certificates
            .apply(&address, &flags)
            .args(["-o", form, "--api-key", "hidden-key"])
            .args(metadata)
            .run()
            .expect_code(0);
        shows_none_of(&applied, &["hidden-key", "hidden-tenant"]);
        let sent = &fake.starts()[number].metadata;
        assert_eq!(
            sent.get("authorization").expect("it was sent"),
            "Bearer hidden-key"
        );
        assert_eq!(sent.get("x-tenant").expect("it was sent"), "hidden-tenant");
    }
    certificates
        .apply(&address, &flags)
        .env("TEMPORAL_API_KEY", "from-variable")
        .env("TEMPORAL_GRPC_META_X_TENANT", "from-variable")
        .run()
        .expect_code(0);
    let sent = fake.starts().pop().expect("it was sent").metadata;
    assert_eq!(
        sent.get("authorization").expect("it was sent"),
        "Bearer from-variable"
    );
    assert_eq!(sent.get("x-tenant").expect("it was sent"), "from-variable");
    // Without certificates the key is not sent to a server nobody vouches for.
    let starts = fake.start_count();
    let refused = certificates
        .apply(
            &address,
            &["--api-key", "hidden-key", "--log-level", "debug"],
        )
        .run()
        .expect_code(5);
    shows_none_of(&refused, &["hidden-key"]);
    assert_eq!(fake.start_count(), starts);
}
