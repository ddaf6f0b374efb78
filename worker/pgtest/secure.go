package pgtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// Secure starts the server again, to be reached also over TCP on this machine, with passwords and with TLS by the given
// certificate.
func (s *Server) Secure(certificate, key []byte) (port int) {
	s.t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	port = free.Addr().(*net.TCPAddr).Port
	if err := free.Close(); err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"server.crt": certificate, "server.key": key} {
		file := filepath.Join(s.dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			s.t.Fatal(err)
		}
		if s.account != nil {
			if err := os.Chown(file, int(s.account.Uid), int(s.account.Gid)); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.Restart("-h", "127.0.0.1", "-p", strconv.Itoa(port), "-F", "-c", "ssl=on",
		"-c", "ssl_cert_file="+filepath.Join(s.dir, "server.crt"), "-c", "ssl_key_file="+filepath.Join(s.dir, "server.key"))
	return port
}

// Authority makes an authority and what it signed: a certificate for localhost and its key, all in PEM.
func Authority(t *testing.T) (ca, certificate, key []byte) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, public *ecdsa.PublicKey, signer *ecdsa.PrivateKey) []byte {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	made := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	day := time.Now().Add(24 * time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotAfter: day,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: day, DNSNames: []string{"localhost"}}
	rootKey, leafKey := made(), made()
	der, err := x509.MarshalECPrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return sign(root, root, &rootKey.PublicKey, rootKey), sign(leaf, root, &leafKey.PublicKey, rootKey),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}
