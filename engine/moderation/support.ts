/**
 * What somebody who speaks of harming themselves is answered with: fixed words and help lines, in their
 * language where it is known. No model writes any of it.
 */

/** By language, or by language and region; numbers as their services publish them. */
const TEXTS: Readonly<Record<string, string>> = {
  en: "I am sorry that you are going through this. I am a program and cannot be the help that you deserve, but people can: call or text 988 in the US and Canada, Samaritans at 116 123 in the UK and Ireland, Lifeline at 13 11 14 in Australia. For other countries see https://findahelpline.com. If you are in danger now, call your emergency number. Please also tell someone near you.",
  de: "Es tut mir leid, dass es dir so geht. Ich bin ein Programm und kann nicht die Hilfe sein, die du verdienst, aber Menschen können es: die Telefonseelsorge ist in Deutschland kostenlos unter 0800 111 0 111 da, in Österreich unter 142, in der Schweiz Die Dargebotene Hand unter 143. Für andere Länder siehe https://findahelpline.com. Bist du jetzt in Gefahr, ruf 112 an. Bitte sag es auch jemandem in deiner Nähe.",
  fr: "Je suis désolé que tu traverses cela. Je suis un programme et ne peux pas être l'aide que tu mérites, mais des personnes le peuvent : en France, appelle le 3114, gratuit jour et nuit ; au Canada, le 988. Pour d'autres pays : https://findahelpline.com. Si tu es en danger maintenant, appelle le 112. Parles-en aussi à quelqu'un près de toi.",
  es: "Siento mucho que estés pasando por esto. Soy un programa y no puedo ser la ayuda que mereces, pero hay personas que sí: en España llama al 024, gratis y a cualquier hora; en Estados Unidos, al 988 y pulsa 2. Para otros países: https://findahelpline.com. Si estás en peligro ahora, llama a tu número de emergencias. Cuéntaselo también a alguien cercano.",
  pt: "Sinto muito que você esteja passando por isso. Sou um programa e não posso ser a ajuda que você merece, mas há pessoas que podem: no Brasil, ligue para o CVV no 188, grátis, a qualquer hora. Para outros países: https://findahelpline.com. Se estiver em perigo agora, ligue para o número de emergência. Conte também a alguém perto de você.",
  ja: "つらい思いをされているのですね。私はプログラムなので、あなたが受けるべき助けにはなれませんが、助けてくれる人たちがいます。日本では、よりそいホットライン（0120-279-338）が24時間無料で相談を受け付けています。ほかの国については https://findahelpline.com をご覧ください。今すぐ危険があるときは、110番か119番に電話してください。身近な人にも話してください。",
  nl: "Wat erg dat je dit doormaakt. Ik ben een programma en kan niet de hulp zijn die je verdient, maar mensen wel: bel 113 of gratis 0800-0113 in Nederland, of 1813 in Vlaanderen. Voor andere landen: https://findahelpline.com. Ben je nu in gevaar, bel dan 112. Vertel het ook aan iemand in je buurt.",
};

/** The words for a locale such as `de`, `pt-BR`; English where there are none. */
export function supportText(locale: string): string {
  const language = locale.toLowerCase().split(/[-_]/)[0] ?? "";
  return (Object.hasOwn(TEXTS, language) ? TEXTS[language] : TEXTS["en"]) ?? "";
}
