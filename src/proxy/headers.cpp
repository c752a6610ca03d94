#include <proxy/headers.hpp>

#include <algorithm>

namespace sluice::proxy {
namespace {

/// What servers may take for forwarding information. Those that turn names into variables (RFC 3875 section 4.1.18)
/// cannot tell `_` from `-`.
bool claims_forwarding(std::string_view name) noexcept
{
    constexpr std::string_view prefix = "x-forwarded-";
    if (http::equal_ignoring_case(name, "forwarded")) {
        return true;
    }
    return name.size() >= prefix.size() &&
           std::equal(prefix.begin(), prefix.end(), name.begin(), [](char wanted, char character) {
               return wanted == (character == '_'                       ? '-'
                                 : character >= 'A' && character <= 'Z' ? static_cast<char>(character - 'A' + 'a')
                                                                        : character);
           });
}

/// RFC 9113 section 8.2.3: HTTP/2 may split Cookie, HTTP/1.1 must not.
bool join_cookies(http::Fields& fields)
{
    if (fields.count("cookie") < 2) {
        return true;
    }
    std::string joined;
    fields.for_each("cookie", [&](std::string_view crumb) {
        joined += joined.empty() ? "" : "; ";
        joined += crumb;
    });
    return fields.set("Cookie", joined);
}

} // namespace

bool is_trusted(const ClientView& view) noexcept
{
    return std::ranges::any_of(view.trusted,
                               [&](const wire::Prefix& prefix) { return prefix.contains(view.client.address); });
}

bool set_forwarded(http::RequestHead& request, const ClientView& view)
{
    http::Fields& fields = request.fields;
    const std::string_view proto = view.secure ? "https" : "http";
    if (!is_trusted(view)) {
        fields.remove_if([](const http::Field& field) { return claims_forwarding(field.name); });
        return fields.add("X-Forwarded-For", view.client.address.to_string()) &&
               fields.add("X-Forwarded-Proto", proto) &&
               (request.authority.empty() || fields.add("X-Forwarded-Host", request.authority));
    }
    std::string chain;
    fields.for_each("x-forwarded-for", [&](std::string_view part) {
        chain += part;
        chain += part.empty() ? "" : ", ";
    });
    chain += view.client.address.to_string();
    return fields.set("X-Forwarded-For", chain) &&
           (fields.contains("x-forwarded-proto") || fields.add("X-Forwarded-Proto", proto)) &&
           (fields.contains("x-forwarded-host") || request.authority.empty() ||
            fields.add("X-Forwarded-Host", request.authority));
}

bool apply_rules(http::Fields& fields, const HeaderRules& rules)
{
    for (const std::string& name : rules.remove) {
        fields.remove(name);
    }
    return std::ranges::all_of(rules.set,
                               [&](const HeaderField& field) { return fields.set(field.name, field.value); }) &&
           std::ranges::all_of(rules.add,
                               [&](const HeaderField& field) { return fields.add(field.name, field.value); });
}

bool apply_request_rules(http::RequestHead& request, const HeaderRules& rules)
{
    if (rules.empty()) {
        return true;
    }
    if (!apply_rules(request.fields, rules)) {
        return false;
    }
    if (const auto host = request.fields.find("host")) {
        request.authority = *host;
        request.fields.remove("host");
    }
    return true;
}

void prepare_trailers(http::Fields& trailers, const HeaderRules& rules)
{
    trailers.remove_if([](const http::Field& field) { return claims_forwarding(field.name); });
    for (const std::string& name : rules.remove) {
        trailers.remove(name);
    }
    for (const HeaderField& field : rules.set) {
        trailers.remove(field.name);
    }
}

bool prepare_request(http::RequestHead& request, const ClientView& view, const HeaderRules& rules)
{
    http::remove_hop_by_hop(request.fields);
    if (request.version == http::Version::http10) {
        // RFC 9110 section 10.1.1: an HTTP/1.0 client cannot be waiting for 100.
        request.fields.remove("expect");
    }
    if (request.authority.empty()) {
        request.authority = view.local.to_string();
    }
    return join_cookies(request.fields) && set_forwarded(request, view) && apply_request_rules(request, rules);
}

} // namespace sluice::proxy
