//! A client of TLS that trusts whoever answers: the health check asks whether a server is there, and not who it is.

use std::{
    net::{IpAddr, TcpStream},
    sync::Arc,
};

use tokio_rustls::rustls::{
    self, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring,
    pki_types::{CertificateDer, UnixTime},
};

/// A connection of a client that asks whether a server is there, and not who it is.
///
/// # Errors
///
/// When TLS cannot begin.
pub(super) fn trusting(server: IpAddr, stream: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>, String> {
    let provider = Arc::new(ring::default_provider());
    let schemes = provider.signature_verification_algorithms.supported_schemes();
    let with = ClientConfig::builder_with_provider(provider);
    let with = with.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    let trust = Arc::new(Trusting { schemes });
    let config = with.dangerous().with_custom_certificate_verifier(trust).with_no_client_auth();
    let connection = ClientConnection::new(Arc::new(config), server.into()).map_err(|error| error.to_string())?;
    Ok(StreamOwned::new(connection, stream))
}

/// Takes any certificate.
#[derive(Debug)]
struct Trusting {
    schemes: Vec<SignatureScheme>,
}

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
