"""An authority for tests, and the certificates that it signs."""
import subprocess


class Authority:
    """ca.pem, and NAME.pem with NAME.key for each name that is issued, in its folder. Whoever has them is localhost."""

    NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")

    def __init__(self, folder, name="ours"):
        self.folder = folder
        self.openssl("req", "-x509", *self.NEW_KEY, "-subj", f"/CN={name}", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.folder)

    def issue(self, name, days=60):
        """A negative number of days: it has expired."""
        self.openssl("req", *self.NEW_KEY, "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost", "-keyout", f"{name}.key",
                     "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", str(days), "-copy_extensions", "copy",
                     "-out", f"{name}.pem")
