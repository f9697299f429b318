//! HTTPS with the user's certificate, or with one that the server generates.

use std::{io, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

use super::{connection::Protocol, socket::Socket};
use crate::world::Millis;

/// The names of a generated certificate, besides the configured ones: the usual addresses of the mock, and the vendor's
/// host.
const NAMES: [&str; 6] = ["localhost", "127.0.0.1", "::1", "gears.opswat.com", "opswat-mock", "host.docker.internal"];
/// The validity of a generated certificate, in days: the maximum that all common clients accept.
const VALID_DAYS: i64 = 397;

/// The TLS configuration of a listener.
#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// Generates a certificate authority and a server certificate, new ones in each call. Returns the authority's
    /// certificate as PEM.
    ///
    /// # Errors
    ///
    /// When a certificate cannot contain one of the names.
    pub(crate) fn generate(names: &[&str], now: Millis) -> Result<(Self, String), String> {
        let failed = |error: rcgen::Error| format!("cannot make a certificate: {error}");
        let now = OffsetDateTime::from_unix_timestamp(now.0.div_euclid(1000))
            .map_err(|error| format!("cannot make a certificate: {error}"))?;
        let during = |params: &mut CertificateParams| {
            // The clock of a client may be late.
            params.not_before = now.saturating_sub(Duration::DAY);
            params.not_after = now.saturating_add(Duration::days(VALID_DAYS - 1));
        };
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "opswat-mock, made at its start");
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        during(&mut authority);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(failed)?).map_err(failed)?;

        let mut all: Vec<String> = NAMES.map(str::to_owned).to_vec();
        all.extend(names.iter().filter(|name| !NAMES.contains(name)).map(|&name| name.to_owned()));
        let mut own = CertificateParams::new(all).map_err(failed)?;
        own.distinguished_name.push(DnType::CommonName, "opswat-mock");
        own.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        own.use_authority_key_identifier_extension = true;
        during(&mut own);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = own.signed_by(&key, &authority).map_err(failed)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok((Self::new(vec![certificate.into(), authority.der().clone()], key)?, authority.pem()))
    }

    /// Reads a certificate chain, with the server's certificate first, and its private key.
    ///
    /// # Errors
    ///
    /// When the chain or the key is invalid, and when they do not match.
    #[cfg(feature = "cli")]
    pub(crate) fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, String> {
        use tokio_rustls::rustls::pki_types::pem::{self, PemObject};

        let no_chain = |error: pem::Error| format!("the certificate cannot be read as PEM: {error}");
        let chain: Vec<_> = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(no_chain)?;
        if chain.is_empty() {
            return Err("the certificate file contains no PEM certificate".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => "the key file contains no PEM private key".to_owned(),
            error => format!("the private key cannot be read as PEM: {error}"),
        })?;
        Self::new(chain, key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, String> {
        // The provider is explicit, because a program that embeds the mock may enable another one.
        let with = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let with = with.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
        let mut config = with
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| format!("the certificate and the key cannot be used: {error}"))?;
        config.alpn_protocols = vec![H2.to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Performs the TLS handshake.
    pub(super) async fn accept(&self, socket: Socket) -> io::Result<TlsStream> {
        self.0.accept(socket).await
    }
}

/// A connection after the TLS handshake.
pub(super) type TlsStream = tokio_rustls::server::TlsStream<Socket>;

/// The protocol that ALPN selected.
pub(super) fn protocol(stream: &TlsStream) -> Protocol {
    if stream.get_ref().1.alpn_protocol() == Some(H2) { Protocol::Http2 } else { Protocol::Http1 }
}

/// The socket of a TLS stream.
pub(super) fn socket(stream: &mut TlsStream) -> &mut Socket {
    stream.get_mut().0
}

/// The ALPN identifier of HTTP/2.
const H2: &[u8] = b"h2";

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject},
    };

    use super::*;

    const NOW: Millis = Millis(1_768_478_400_000);

    #[test]
    fn generates_a_new_authority_on_each_call() {
        let (_, authority) = Tls::generate(&["mock.internal", "10.0.0.7"], NOW).expect("a certificate");
        assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
        let (_, other) = Tls::generate(&[], NOW).expect("a certificate");
        assert_ne!(authority, other);
    }

    /// A client that trusts the authority accepts the server under each of its names, and under no other.
    #[tokio::test]
    async fn the_made_certificate_is_valid_for_its_names_and_for_no_other() {
        let (tls, authority) =
            Tls::generate(&["mock.internal", "10.0.0.7"], crate::clock::Clock::running().now()).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).expect("PEM")).expect("an authority");
        let with = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let with = with.with_safe_default_protocol_versions().expect("versions");
        let connector = TlsConnector::from(Arc::new(with.with_root_certificates(roots).with_no_client_auth()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        for (name, is_valid) in NAMES.iter().map(|name| (*name, true)).chain([
            ("mock.internal", true),
            ("10.0.0.7", true),
            ("evil.example", false),
            ("internal", false),
            ("10.0.0.8", false),
        ]) {
            let client = async {
                let stream = TcpStream::connect(address).await.expect("a connection");
                let name = name.to_owned().try_into().expect("a name of a server");
                connector.connect(name, stream).await.is_ok()
            };
            let server = async {
                let (stream, _) = listener.accept().await.expect("a connection");
                let _ = tls.accept(Socket::new(stream)).await;
            };
            let (is_accepted, ()) = tokio::join!(client, server);
            assert_eq!(is_accepted, is_valid, "{name}");
        }
    }

    #[test]
    fn rejects_an_invalid_or_mismatched_chain_and_key() {
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["a.test".to_owned()]).expect("a name").self_signed(&key).expect("signed");
        let other = KeyPair::generate().expect("a key");
        let (chain, key, other) = (own.pem(), key.serialize_pem(), other.serialize_pem());
        assert!(Tls::from_pem(chain.as_bytes(), key.as_bytes()).is_ok());
        for (chain, key, why) in [
            ("", &*key, "the certificate file contains no PEM certificate"),
            (&*chain, "", "the key file contains no PEM private key"),
            (&*chain, &*other, "the certificate and the key cannot be used: "),
            ("-----BEGIN CERTIFICATE-----\nx", &*key, "the certificate cannot be read as PEM: "),
        ] {
            let wrong = Tls::from_pem(chain.as_bytes(), key.as_bytes()).err().expect("something wrong");
            assert!(wrong.starts_with(why), "{wrong}");
        }
    }
}
