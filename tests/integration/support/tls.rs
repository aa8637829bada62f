//! A service over TLS, with a certificate of an authority that only the tests know.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, serve::Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    },
    server::TlsStream,
};

/// Made for these tests, valid for a hundred years; the authority's key was thrown away.
pub(crate) const AUTHORITY: &[u8] = include_bytes!("../../fixtures/tls/authority.pem");
/// For `localhost` and `127.0.0.1`.
const CERTIFICATE: &[u8] = include_bytes!("../../fixtures/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("../../fixtures/tls/key.pem");

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

/// The cryptography of both sides, which reqwest has, too.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Serves a router over TLS on a free port of this machine, and offers these protocols.
pub(crate) async fn serve_tls(app: Router, protocols: &[&[u8]]) -> SocketAddr {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(KEY).expect("a key");
    let mut server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they belong together");
    server.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = tcp.local_addr().expect("bound");
    let listener = TlsListener { tcp, tls: TlsAcceptor::from(Arc::new(server)) };
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}
