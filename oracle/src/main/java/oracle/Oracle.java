package oracle;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.DefaultProfileValidationSupport;
import ca.uhn.fhir.context.support.IValidationSupport;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.fhir.ucum.UcumEssenceService;
import org.fhir.ucum.UcumException;
import org.fhir.ucum.UcumService;
import org.hl7.fhir.common.hapi.validation.support.CommonCodeSystemsTerminologyService;
import org.hl7.fhir.common.hapi.validation.support.InMemoryTerminologyServerValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.PrePopulatedValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.SnapshotGeneratingValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.UnknownCodeSystemWarningValidationSupport;
import org.hl7.fhir.common.hapi.validation.support.ValidationSupportChain;
import org.hl7.fhir.common.hapi.validation.validator.FhirDefaultPolicyAdvisor;
import org.hl7.fhir.common.hapi.validation.validator.FhirInstanceValidator;
import org.hl7.fhir.common.hapi.validation.validator.WorkerContextValidationSupportAdapter;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.MetadataResource;
import org.hl7.fhir.r5.context.IWorkerContext;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.model.StructureDefinition;
import org.hl7.fhir.r5.utils.XVerExtensionManager;
import org.hl7.fhir.r5.utils.validation.ValidatorSession;
import org.hl7.fhir.r5.utils.validation.constants.BestPracticeWarningLevel;
import org.hl7.fhir.r5.utils.validation.constants.IdStatus;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.validation.ValidatorSettings;
import org.hl7.fhir.validation.instance.InstanceValidator;

/**
 * HL7's validation engine over lines: a case on each line of stdin, its verdict on a line of stdout, in that order.
 *
 * <p>A case is {"id", "profiles": [canonical], "resource"}; a verdict {"id", "messages": [{"severity", "location",
 * "messageId", "text"}]}. The arguments are folders whose JSON files are definitions beside those of R4. Nothing is
 * looked up: code systems that are not there (LOINC, SNOMED CT) give warnings.
 */
public final class Oracle {
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .nodeFactory(JsonNodeFactory.withExactBigDecimals(true))
          .build();

  private Oracle() {}

  public static void main(String[] folders) throws IOException {
    JSON.getFactory().setStreamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(5000).build());
    IWorkerContext definitions = definitions(folders);
    PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(JSON.writeValueAsString(verdict(definitions, JSON.readTree(line))));
      out.flush();
    }
  }

  private static IWorkerContext definitions(String[] folders) throws IOException {
    FhirContext context = FhirContext.forR4();
    PrePopulatedValidationSupport own = new PrePopulatedValidationSupport(context);
    for (String folder : folders) {
      for (Path file : files(folder)) {
        if (context.newJsonParser().parseResource(Files.readString(file)) instanceof MetadataResource resource) {
          own.addResource(resource);
        }
      }
    }
    UnknownCodeSystemWarningValidationSupport unknown = new UnknownCodeSystemWarningValidationSupport(context);
    unknown.setNonExistentCodeSystemSeverity(IValidationSupport.IssueSeverity.WARNING);
    return new Context(
        new ValidationSupportChain(
            own,
            new Definitions(context),
            new CommonCodeSystemsTerminologyService(context),
            new InMemoryTerminologyServerValidationSupport(context),
            new SnapshotGeneratingValidationSupport(context),
            unknown));
  }

  /** What the engine asks, with units: invariants compare quantities. */
  private static final class Context extends WorkerContextValidationSupportAdapter {
    private final UcumService units;

    Context(IValidationSupport support) {
      super(support);
      try (InputStream essence = UcumEssenceService.class.getResourceAsStream("/ucum-essence.xml")) {
        units = new UcumEssenceService(essence);
      } catch (IOException | UcumException failure) {
        throw new IllegalStateException(failure);
      }
    }

    @Override
    public UcumService getUcumService() {
      return units;
    }
  }

  /** The definitions of R4, asked for a type without a name without an exception. */
  private static final class Definitions extends DefaultProfileValidationSupport {
    Definitions(FhirContext context) {
      super(context);
    }

    @Override
    public IBaseResource fetchStructureDefinition(String url) {
      return url.isEmpty() || url.endsWith("/StructureDefinition/") ? null : super.fetchStructureDefinition(url);
    }
  }

  private static InstanceValidator validator(IWorkerContext definitions) {
    InstanceValidator validator =
        new InstanceValidator(
            definitions,
            new FhirInstanceValidator.NullEvaluationContext(),
            new XVerExtensionManager(definitions),
            new ValidatorSession(),
            new ValidatorSettings());
    validator.setAnyExtensionsAllowed(true);
    validator.setResourceIdRule(IdStatus.OPTIONAL);
    validator.setBestPracticeWarningLevel(BestPracticeWarningLevel.Ignore);
    validator.setErrorForUnknownProfiles(false);
    validator.setUnknownCodeSystemsCauseErrors(false);
    validator.setPolicyAdvisor(new FhirDefaultPolicyAdvisor());
    return validator;
  }

  private static List<Path> files(String folder) throws IOException {
    try (Stream<Path> files = Files.list(Path.of(folder))) {
      return files.filter(file -> file.toString().endsWith(".json")).sorted().toList();
    }
  }

  private static ObjectNode verdict(IWorkerContext definitions, JsonNode item) throws IOException {
    ObjectNode verdict = JSON.createObjectNode();
    verdict.set("id", item.get("id"));
    ArrayNode lines = verdict.putArray("messages");
    List<ValidationMessage> messages = new ArrayList<>();
    List<StructureDefinition> profiles = new ArrayList<>();
    try {
      for (JsonNode profile : item.path("profiles")) {
        StructureDefinition known = definitions.fetchResource(StructureDefinition.class, profile.asText());
        if (known != null) {
          profiles.add(known);
        }
      }
      byte[] resource = JSON.writeValueAsBytes(item.get("resource"));
      validator(definitions).validate(null, messages, new ByteArrayInputStream(resource), FhirFormat.JSON, profiles);
    } catch (RuntimeException | StackOverflowError failure) {
      String place =
          Stream.of(failure.getStackTrace())
              .map(frame -> frame.getClassName() + "." + frame.getMethodName())
              .filter(frame -> frame.startsWith("org.hl7.fhir"))
              .findFirst()
              .orElse("");
      add(lines, "fatal", "", failure.getClass().getSimpleName(), place);
    }
    for (ValidationMessage message : messages) {
      add(lines, message.getLevel().toCode(), message.getLocation(), message.getMessageId(), message.getMessage());
    }
    return verdict;
  }

  private static void add(ArrayNode messages, String severity, String location, String id, String text) {
    messages.addObject().put("severity", severity).put("location", location).put("messageId", id).put("text", text);
  }
}
