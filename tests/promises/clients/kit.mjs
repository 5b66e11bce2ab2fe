// What an application of fhir-kit-client does, unchanged: `node kit.mjs <FHIR base>`. Ends with 0 where all was well.
import assert from "node:assert/strict";
import { Client } from "fhir-kit-client";

const client = new Client({ baseUrl: process.argv[2] });
const identifier = { system: "https://hospital.example/mrn", value: "kit" };

const statement = await client.capabilityStatement();
assert.equal(statement.fhirVersion, "4.0.1");

const made = await client.create({
  resourceType: "Patient",
  body: { resourceType: "Patient", identifier: [identifier], gender: "female" },
});
const read = await client.read({ resourceType: "Patient", id: made.id });
assert.deepEqual(read, made);

const changed = await client.update({ resourceType: "Patient", id: made.id, body: { ...read, gender: "male" } });
assert.equal(changed.meta.versionId, "2");
const first = await client.vread({ resourceType: "Patient", id: made.id, version: "1" });
assert.equal(first.gender, "female");

const answer = await client.transaction({
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [1, 2, 3].map((value) => ({
      resource: {
        resourceType: "Observation",
        status: "final",
        code: { coding: [{ system: "http://loinc.org", code: "2276-4" }] },
        subject: { reference: `Patient/${made.id}` },
        valueQuantity: { value, system: "http://unitsofmeasure.org", code: "ng/mL" },
      },
      request: { method: "POST", url: "Observation" },
    })),
  },
});
assert.deepEqual(answer.entry.map((entry) => entry.response.status.slice(0, 3)), ["201", "201", "201"]);

let page = await client.search({
  resourceType: "Observation",
  searchParams: { subject: `Patient/${made.id}`, _count: 2, _include: "Observation:subject" },
});
let found = 0;
for (; page; page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : null) {
  found += page.entry.filter((entry) => entry.search.mode === "match").length;
  assert.equal(page.entry.filter((entry) => entry.search.mode === "include").length, 1);
}
assert.equal(found, 3);

const history = await client.resourceHistory({ resourceType: "Patient", id: made.id });
assert.equal(history.entry.length, 2);
const refused = await client
  .create({ resourceType: "Patient", body: { resourceType: "Patient", gender: "banana" } })
  .catch((error) => error.response);
assert.equal(refused.status, 400);
assert.equal(refused.data.resourceType, "OperationOutcome");

const place = await client.create({ resourceType: "Location", body: { resourceType: "Location", name: "Ward" } });
await client.delete({ resourceType: "Location", id: place.id });
const gone = await client.read({ resourceType: "Location", id: place.id }).catch((error) => error.response);
assert.equal(gone.status, 410);
