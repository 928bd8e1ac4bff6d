//! A collector behind TLS: whom it is trusted by, and who we are to it.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;

use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use super::{ANSWER_CHARS_MAX, SendError, variable};
use crate::text::terminal_line;
use crate::units::MIB;

/// The variables that name a file of authorities to trust in place of those that are built in. The last is OpenSSL's, which
/// most programs of a host obey.
const AUTHORITIES: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "SSL_CERT_FILE",
];
/// The variables that name the file of the certificate that we show to a collector, with those of its authorities behind it.
const CERTIFICATE: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
];
/// The variables that name the file of its key.
const KEY: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
/// The most bytes of a file of certificates or a key. Those of a whole host are 220 KiB.
const PEM_BYTES_MAX: u64 = 4 * MIB;
/// The bits of a file's mode by which everybody may read or write it.
const EVERYBODY: u32 = 0o006;

/// What TLS is begun with.
pub(super) struct Tls {
    pub(super) config: TlsConfig,
    trusted: String,
    /// The certificate that we show, in words.
    shown: Option<String>,
}

impl Tls {
    /// As the variables of OpenTelemetry have it.
    pub(super) fn of_environment() -> Result<Self, SendError> {
        let (roots, trusted) = authorities()?;
        let (client, shown) = client()?.unzip();
        let config = TlsConfig::builder().root_certs(roots).client_cert(client).build();
        Ok(Self { config, trusted, shown })
    }

    /// What went wrong, if one of the two certificates is the reason.
    pub(super) fn refusal(&self, to: &str, error: &ureq::Error) -> Option<SendError> {
        let to = to.to_owned();
        let told = |text: String| terminal_line(text, ANSWER_CHARS_MAX);
        match tls_error(error)? {
            rustls::Error::InvalidCertificate(wrong) => Some(SendError::Untrusted {
                to,
                problem: told(wrong.to_string()),
                help: self.trust(wrong),
            }),
            rustls::Error::AlertReceived(alert) if is_about_the_client(*alert) => Some(SendError::NotLetIn {
                to,
                problem: format!("TLS alert {alert:?}"),
                help: self.way_in(),
            }),
            _ => None,
        }
    }

    fn trust(&self, wrong: &CertificateError) -> String {
        match wrong {
            // The signature is bad if another authority has the same name.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => format!(
                "trusted are {}; name the PEM file of the authority that has signed the collector's certificate in {}",
                self.trusted, AUTHORITIES[1]
            ),
            _ => "the collector needs a certificate of a server that is valid now, for the host in its address"
                .to_owned(),
        }
    }

    /// What a person does whom a collector does not let in.
    pub(super) fn way_in(&self) -> String {
        let Some(shown) = &self.shown else {
            return format!(
                "it may ask for the certificate of a client: name the PEM files of one that it trusts and of its key in {} and {}",
                CERTIFICATE[1], KEY[1]
            );
        };
        format!(
            "shown to it is {shown}: that must be valid now, for a client, and signed by an authority that the collector trusts"
        )
    }
}

fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// What servers say whom a client's certificate does not please (RFC 8446, 6.2). One of TLS 1.2 that misses it says only that the
/// handshake has failed.
fn is_about_the_client(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::HandshakeFailure
            | Alert::NoCertificate
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}

/// A file that a variable names.
struct Named {
    variable: &'static str,
    path: String,
    /// What it is there for.
    what: &'static str,
}

impl Named {
    fn first(variables: &[&'static str], what: &'static str) -> Option<Self> {
        variables.iter().find_map(|name| {
            let path = variable(name)?;
            Some(Self {
                variable: name,
                path,
                what,
            })
        })
    }

    /// As it is told: `FILE (VARIABLE)`.
    fn told(&self) -> String {
        format!("{} ({})", terminal_line(&self.path, ANSWER_CHARS_MAX), self.variable)
    }

    fn wrong(&self, problem: String) -> SendError {
        SendError::Pem {
            variable: self.variable,
            path: terminal_line(&self.path, ANSWER_CHARS_MAX),
            what: self.what,
            problem,
        }
    }

    fn read(&self, secret: bool) -> Result<Vec<u8>, SendError> {
        let unreadable = |error: io::Error| self.wrong(format!("it can't be read: {error}"));
        let file = File::open(&self.path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.mode();
        if secret && mode & EVERYBODY != 0 {
            return Err(self.wrong(format!(
                "everybody on this host may read or write it (mode {:03o}), so it is no secret; `chmod o-rw` mends that",
                mode & 0o777
            )));
        }
        let mut pem = Vec::new();
        file.take(PEM_BYTES_MAX + 1).read_to_end(&mut pem).map_err(unreadable)?;
        if pem.len() as u64 > PEM_BYTES_MAX {
            return Err(self.wrong(format!("it has more than {} MiB", PEM_BYTES_MAX / MIB)));
        }
        Ok(pem)
    }

    fn certificates(&self) -> Result<Vec<Certificate<'static>>, SendError> {
        let certificates: Vec<_> = parse_pem(&self.read(false)?)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if certificates.is_empty() {
            return Err(self.wrong("there is no certificate in it; it must be in PEM form".to_owned()));
        }
        Ok(certificates)
    }

    /// Nothing of the file is in an error.
    fn key(&self) -> Result<PrivateKey<'static>, SendError> {
        let pem = self.read(true)?;
        let key = parse_pem(&pem).find_map(|item| match item {
            Ok(PemItem::PrivateKey(key)) => Some(key),
            _ => None,
        });
        key.ok_or_else(|| {
            let encrypted = b"ENCRYPTED";
            self.wrong(if pem.windows(encrypted.len()).any(|part| part == encrypted) {
                "its key is encrypted, and nobody is here to type the passphrase; `openssl pkey` writes one without"
                    .to_owned()
            } else {
                "there is no private key in it; it must be in PEM form".to_owned()
            })
        })
    }
}

/// The certificates to trust, and what they are: those that the first of the variables names, or Mozilla's, which are built in.
fn authorities() -> Result<(RootCerts, String), SendError> {
    let Some(named) = Named::first(&AUTHORITIES, "the certificates to trust") else {
        return Ok((RootCerts::WebPki, "the authorities that Mozilla trusts".to_owned()));
    };
    let certificates = named.certificates()?;
    let trusted = format!("the {} in {}", certificates.len(), named.told());
    Ok((RootCerts::new_with_certs(&certificates), trusted))
}

/// The certificate that is shown to a collector that asks for one, if there is one, and what it is.
fn client() -> Result<Option<(ClientCert, String)>, SendError> {
    let certificate = Named::first(&CERTIFICATE, "the certificate of this client");
    let key = Named::first(&KEY, "the key of this client");
    let (certificate, key) = match (certificate, key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        (Some(half), None) => return Err(half_of_a_client(&half, KEY[1])),
        (None, Some(half)) => return Err(half_of_a_client(&half, CERTIFICATE[1])),
    };
    let (chain, secret) = (certificate.certificates()?, key.key()?);
    // Where these do not go together, the client of HTTP ends the program.
    belongs(&chain, &secret).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => SendError::OtherKey {
            key: key.told(),
            certificate: certificate.told(),
        },
        rustls::Error::InvalidCertificate(wrong) => certificate.wrong(format!("it can't be used: {wrong}")),
        _ => key.wrong(
            "it is not a key of a kind that TLS uses here (RSA, ECDSA with P-256, P-384 or P-521, Ed25519)".to_owned(),
        ),
    })?;
    let shown = format!("the certificate in {}", certificate.told());
    Ok(Some((ClientCert::new_with_certs(&chain, secret), shown)))
}

fn half_of_a_client(half: &Named, missing: &'static str) -> SendError {
    SendError::Half {
        variable: half.variable,
        missing,
    }
}

fn belongs(chain: &[Certificate<'static>], key: &PrivateKey<'static>) -> Result<(), rustls::Error> {
    let chain = chain
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().to_vec()));
    let key = PrivateKeyDer::try_from(key.der().to_vec()).map_err(|error| rustls::Error::General(error.to_owned()))?;
    CertifiedKey::from_der(chain.collect(), key, &ring::default_provider()).map(|_| ())
}
