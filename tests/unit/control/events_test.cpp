#include <sluice/control/events.hpp>

#include <gmock/gmock.h>

namespace sluice::control {
namespace {

telemetry::Event event(std::string_view subject, std::string_view to)
{
    telemetry::Event made;
    made.kind = telemetry::EventKind::health;
    made.subject = subject;
    made.to = to;
    return made;
}

TEST(EventLog, MoreThanItsCapacity_KeepsTheNewestAndTheNumbersGoOn)
{
    EventLog log;
    for (std::size_t count = 0; count < EventLog::capacity + 5; ++count) {
        log.add(event("a", "up"), {});
    }
    EXPECT_EQ(log.events().size(), EventLog::capacity);
    EXPECT_EQ(log.events().front().number, 6U);
    EXPECT_EQ(log.events().back().number, EventLog::capacity + 5);
}

TEST(EventLog, LastOfASubject_IsFoundAfterItLeftTheLog)
{
    EventLog log;
    log.add(event("web/old", "down"), {});
    for (std::size_t count = 0; count < EventLog::capacity; ++count) {
        log.add(event("web/other", "up"), {});
    }
    const RecordedEvent* last = log.last(telemetry::EventKind::health, "web/old");
    ASSERT_NE(last, nullptr);
    EXPECT_EQ(last->event.to.view(), "down");
    EXPECT_EQ(log.last(telemetry::EventKind::port, "web/old"), nullptr);
}

TEST(EventLog, LongSubject_IsFoundByItsFullName)
{
    EventLog log;
    const std::string name(200, 'n');
    log.add(event(name, "up"), {});
    EXPECT_NE(log.last(telemetry::EventKind::health, name), nullptr);
}

TEST(EventLog, ListenerThatStopsWhileItIsCalled_IsNotCalledAgain)
{
    EventLog log;
    int calls = 0;
    std::uint64_t id = 0;
    id = log.listen([&](const RecordedEvent&) {
        ++calls;
        log.stop_listening(id);
    });
    log.add(event("a", "up"), {});
    log.add(event("a", "down"), {});
    EXPECT_EQ(calls, 1);
}

} // namespace
} // namespace sluice::control
