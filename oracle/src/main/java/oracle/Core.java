package oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.CodeSystem;
import org.hl7.fhir.r4.model.CodeSystem.ConceptDefinitionComponent;
import org.hl7.fhir.r4.model.ElementDefinition;
import org.hl7.fhir.r4.model.ElementDefinition.TypeRefComponent;
import org.hl7.fhir.r4.model.StructureDefinition;

/**
 * The engine's own R4, a definition on each line: {"url", "elements": {id: [min, max, types and targets, binding]}} for
 * a structure, {"url", "codes": [code]} for a code system.
 */
public final class Core {
  private static final ObjectMapper JSON = new ObjectMapper();

  private Core() {}

  public static void main(String[] arguments) throws IOException {
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    DefaultProfileValidationSupport support = new DefaultProfileValidationSupport(FhirContext.forR4());
    // Each kind is read at its first use; until then it is not among all resources.
    support.fetchAllStructureDefinitions();
    support.fetchCodeSystem("http://hl7.org/fhir/administrative-gender");
    for (IBaseResource resource : support.fetchAllConformanceResources()) {
      ObjectNode line = JSON.createObjectNode();
      if (resource instanceof StructureDefinition structure) {
        line.put("url", structure.getUrl());
        ObjectNode elements = line.putObject("elements");
        structure.getSnapshot().getElement().forEach(element -> describe(element, elements.putArray(element.getId())));
      } else if (resource instanceof CodeSystem system) {
        line.put("url", system.getUrl());
        codes(system.getConcept(), line.putArray("codes"));
      } else {
        continue;
      }
      out.println(JSON.writeValueAsString(line));
    }
    out.flush();
  }

  private static void describe(ElementDefinition element, ArrayNode line) {
    line.add(element.getMin()).add(element.getMax());
    ArrayNode types = line.addArray();
    for (TypeRefComponent type : element.getType()) {
      types.add(type.getCode());
      type.getTargetProfile().forEach(target -> types.add(target.getValue()));
    }
    if (element.getBinding().hasStrength()) {
      line.add(element.getBinding().getStrength().toCode() + " " + element.getBinding().getValueSet());
    }
  }

  private static void codes(List<ConceptDefinitionComponent> concepts, ArrayNode line) {
    for (ConceptDefinitionComponent concept : concepts) {
      line.add(concept.getCode());
      codes(concept.getConcept(), line);
    }
  }
}
