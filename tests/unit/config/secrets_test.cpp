// Certificates, keys and ticket keys.
#include "certificates.hpp"
#include "support.hpp"

#include <gtest/gtest.h>

namespace sluice::config::testing {
namespace {

using namespace std::chrono_literals;

const auto now = std::chrono::system_clock::from_time_t(1'800'000'000); // 2027-01-15 08:00 UTC

struct Site {
    MemoryFiles files;
    FakeHost host;
    Options options;
    KeyPair pair = make_certificate(now - 24h, now + 24h * 90);

    Site()
    {
        files.add("main.yaml",
                  one_port +
                      "services: [{name: s, listen: 192.0.2.11:443/tcp, proxy: {routes: [{respond: {}}],\n"
                      "  tls: {certificates: [{cert: site.crt, key: site.key}], ticket_keys: [tickets.key]}}}]\n");
        files.add("site.crt", pair.certificate);
        files.add("site.key", pair.key, 0640);
        files.add("tickets.key", std::string(80, 'k'), 0600);
        options.host = &host;
        options.now = now;
    }
    std::string findings()
    {
        options.files = &files;
        return summary(load("main.yaml", options).diagnostics);
    }
};

TEST(Secrets, CertificateAndKeyThatFit_AreQuiet) { EXPECT_EQ(Site{}.findings(), ""); }

TEST(Secrets, KeyOfAnotherCertificate_IsAnError)
{
    Site site;
    site.files.add("site.key", make_certificate(now, now + 24h).key);
    EXPECT_EQ(site.findings(), "3:46: error: certificate and key do not belong together\n"
                               "3:31: note: the certificate\n");
}

TEST(Secrets, KeyThatOthersMayRead_IsAnErrorWithTheCommand)
{
    Site site;
    site.files.add("site.key", site.pair.key, 0644);
    EXPECT_EQ(site.findings(), "3:46: error: others may read or change `site.key` [chmod o= site.key]\n");
}

TEST(Secrets, TicketKeyThatOthersMayRead_IsAnError)
{
    Site site;
    site.files.add("tickets.key", std::string(80, 'k'), 0604);
    EXPECT_EQ(site.findings(), "3:72: error: others may read or change `tickets.key` [chmod o= tickets.key]\n");
}

TEST(Secrets, CertificateThatOthersMayRead_IsFine)
{
    Site site;
    site.files.add("site.crt", site.pair.certificate, 0644);
    EXPECT_EQ(site.findings(), "");
}

TEST(Secrets, CertificateThatEnded_IsAWarningWithTheDate)
{
    Site site;
    site.options.now = now + 24h * 91;
    EXPECT_EQ(site.findings(),
              "3:31: warning: the certificate ended on 2027-04-15 08:00 UTC [renew it; clients refuse it]\n");
}

TEST(Secrets, CertificateThatEndsWithinAWeek_IsAWarning)
{
    Site site;
    site.options.now = now + 24h * 84;
    EXPECT_EQ(site.findings(), "3:31: warning: the certificate ends on 2027-04-15 08:00 UTC [renew it]\n");
}

TEST(Secrets, CertificateOfTheFuture_IsAWarning)
{
    Site site;
    site.options.now = now - 48h;
    EXPECT_EQ(site.findings(), "3:31: warning: the certificate is not valid yet [check the clock of this machine]\n");
}

TEST(Secrets, WithoutAClock_DatesAreNotJudged)
{
    Site site;
    site.options.now.reset();
    EXPECT_EQ(site.findings(), "");
}

TEST(Secrets, FilesThatHoldSomethingElse_AreErrors)
{
    Site site;
    site.files.add("site.crt", "no PEM");
    site.files.add("site.key", "no PEM");
    site.files.add("tickets.key", std::string(81, 'k'), 0600);
    EXPECT_EQ(
        site.findings(),
        "3:31: error: `site.crt` holds no certificate in PEM form\n"
        "3:46: error: `site.key` holds no private key in PEM form [a key with a passphrase cannot be used]\n"
        "3:72: error: a ticket key has 80 bytes (or 48), this has 81 [(umask 077; openssl rand 80 > tickets.key)]\n");
}

TEST(Secrets, KeyThatIsNotThere_IsForTheMachineToMend)
{
    Site site;
    MemoryFiles without;
    without.add("main.yaml", site.files.read("main.yaml", 10000)->text);
    without.add("site.crt", site.pair.certificate);
    without.add("tickets.key", std::string(48, 'k'), 0600);
    site.files = without;
    EXPECT_EQ(site.findings(), "3:46: warning: `site.key` cannot be read: No such file or directory [put the file "
                               "there, or correct the path]\n");
    site.options.host_errors = true;
    EXPECT_EQ(site.findings(), "3:46: error: `site.key` cannot be read: No such file or directory [put the file there, "
                               "or correct the path]\n");
    site.options.host = nullptr;
    EXPECT_EQ(site.findings(), "") << "without facts about the machine it is not judged";
}

TEST(Secrets, NoFinding_ContainsAKey)
{
    Site site;
    site.files.add("site.crt", site.pair.key); // Mixed up by its owner.
    const std::string findings = site.findings();
    EXPECT_NE(findings, "");
    EXPECT_EQ(findings.find("PRIVATE KEY"), std::string::npos);
    EXPECT_EQ(findings.find(site.pair.key.substr(40, 20)), std::string::npos);
}

} // namespace
} // namespace sluice::config::testing
